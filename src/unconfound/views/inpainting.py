"""Fill holes in images smoothly from what surrounds them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def inpaint(
    images: Float[Tensor, "batch channels height width"], holes: Bool[Tensor, "batch 1 height width"]
) -> Float[Tensor, "batch channels height width"]:
    """Fill the holes of each image by pull-push: every hole takes the colours of its surroundings, near ones first.

    Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4. The known pixels are averaged on coarser and coarser
    grids until no hole is left (pull); then each grid fills its holes from the next coarser one (push), here by
    bilinear interpolation. The cost is a third more than that of one pass over the images, whatever the holes.

    Args:
        images: any range.
        holes: True where an image is filled. Nothing of what an image holds there matters.

    Returns:
        The images, unchanged outside of the holes. An image that is one hole becomes 0.
    """
    known = (~holes).to(images.dtype)
    return _filled(images.masked_fill(holes, 0), known)


def _filled(values: Tensor, weights: Tensor) -> Tensor:
    """Fill values that are multiplied by their weights, 1 where they are known and 0 where they are not."""
    size = values.shape[2:]
    if max(size) == 1:
        return values / torch.where(weights > 0, weights, 1)
    pulled_values, pulled_weights = (F.avg_pool2d(each, 2, ceil_mode=True) for each in (values, weights))
    # A coarse pixel is known as soon as one of its four pixels is.
    scale = 1 / pulled_weights.clamp_min(1 / 4)
    coarse = _filled(pulled_values * scale, pulled_weights * scale)
    return values + (1 - weights) * F.interpolate(coarse, size=size, mode="bilinear")
