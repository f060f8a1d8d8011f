"""Foregrounds on each other's backgrounds."""

from __future__ import annotations

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.inputs import unit_range


def exchange_backgrounds(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Stand each foreground on the background of the image before it, the first on that of the last.

    Where that image's own foreground was, its background is painted in its mean colour.

    Args:
        images: uint8, or float in [0, 1].
        masks: 1 on the foreground.

    Returns:
        Images in [0, 1].

    Raises:
        ValueError: fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"exchange_backgrounds needs at least two images in a batch, got {len(images)}")
    images = unit_range(images)
    inside = masks.to(images.dtype)
    outside = 1 - inside
    colour = (images * outside).sum((2, 3), keepdim=True) / outside.sum((2, 3), keepdim=True).clamp_min(1)
    backgrounds = images * outside + colour * inside
    return images * inside + backgrounds.roll(1, 0) * outside
