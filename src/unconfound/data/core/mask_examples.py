"""Some images with estimated masks, to look at."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class MaskExamples:
    """Some training images with their estimated masks, chosen without looking at either.

    Args:
        images: uint8, or float in [0, 1].
        labels: of the images, -1 where one has none.
        names: their files, or positions in the training part.
        estimates: the masks that are estimated from the images.
        truth: the masks that come with the data; None where there are none.
    """

    images: UInt8[Tensor, "images channels height width"] | Float[Tensor, "images channels height width"]
    labels: Int[Tensor, " images"]
    names: tuple[str, ...]
    estimates: Bool[Tensor, "images 1 height width"]
    truth: Bool[Tensor, "images 1 height width"] | None = None
