"""Images taken apart: each a foreground, and the background behind it, ready to be put together anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.distributed import gather
from unconfound.functional.foregrounds.depths import depths
from unconfound.functional.inputs import unit_range
from unconfound.views.inpainting import inpaint
from unconfound.views.mask_edges import random_edges, reach


@dataclass(frozen=True, eq=False)
class Layers:
    """What two exchanges of one batch have in common: nothing of it is random.

    Args:
        images: of this process, in [0, 1].
        masks: of their foregrounds, as given.
        depths: of the masks; None where their edges are neither moved nor soft.
        rim: largest number of pixels by which a mask is moved.
        soft_edge: largest half width of the band over which a foreground fades, in pixels.
        backgrounds: of the images of all processes, without their foregrounds.
        covered: of all processes, which images are foreground all over and have no background to give.
    """

    images: Float[Tensor, "batch channels height width"]
    masks: Bool[Tensor, "batch 1 height width"]
    depths: Float[Tensor, "batch 1 height width"] | None
    rim: int
    soft_edge: float
    backgrounds: Float[Tensor, "everyone channels height width"]
    covered: Bool[Tensor, " everyone"]

    @property
    def holes(self) -> Bool[Tensor, "batch 1 height width"]:
        """Where backgrounds are filled: as far as the widest mask reaches."""
        return self.masks if self.depths is None else self.depths > -reach(self.rim, self.soft_edge)

    def shown(self, *, generator: torch.Generator | None) -> Float[Tensor, "batch 1 height width"]:
        """Say how much of each foreground shows, with an edge drawn at random for each image."""
        if self.depths is None:
            return self.masks.to(self.images.dtype)
        drawn = random_edges(self.depths, rim=self.rim, soft_edge=self.soft_edge, generator=generator)
        return drawn.to(self.images.dtype)


@torch.no_grad()
def layers_of(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    *,
    rim: int = 0,
    soft_edge: float = 0.0,
    fill: Literal["inpaint", "mean"] = "inpaint",
) -> Layers:
    """Take images apart, once for all exchanges of a batch.

    Args:
        images: uint8, or float in [0, 1].
        masks: 1 on the foreground.
        rim: largest number of pixels by which a mask is moved (see `random_edges`). Backgrounds are filled as far as
            the widest mask reaches.
        soft_edge: largest half width of the band over which a foreground fades, in pixels.
        fill: fill a background from the surroundings of the hole, or in the mean colour of the rest.

    Raises:
        ValueError: masks of another size, or a number out of its range.
    """
    if masks.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(
            f"masks have the shape {tuple(masks.shape)}, the images {tuple(images.shape)}: give one mask an image, of "
            "one channel and of the same height and width"
        )
    if not (rim >= 0 and 0 <= soft_edge < math.inf):
        raise ValueError(f"rim is {rim} and soft_edge {soft_edge}: both must be at least 0, and finite")
    images, far = unit_range(images), reach(rim, soft_edge)
    deep = depths(masks, far) if far else None
    holes = masks if deep is None else deep > -far
    filled = inpaint(images, holes) if fill == "inpaint" else _in_mean_colour(images, holes)
    covered = gather(holes.flatten(1).all(1).to(torch.uint8)).bool()
    return Layers(images, masks, deep, rim, soft_edge, gather(filled), covered)


def _in_mean_colour(images: Tensor, holes: Tensor) -> Tensor:
    outside = (~holes).to(images.dtype)
    colour = (images * outside).sum((2, 3), keepdim=True) / outside.sum((2, 3), keepdim=True).clamp_min(1)
    return images * outside + colour * (1 - outside)
