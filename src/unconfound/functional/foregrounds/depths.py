"""How deep pixels lie inside or outside of masks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def depths(masks: Bool[Tensor, "batch 1 height width"], reach: int) -> Float[Tensor, "batch 1 height width"]:
    """Measure how deep each pixel lies inside its mask: 0.5 at the edge, 1.5 behind it, and so on; negative outside.

    Distances are counted in pixels, diagonal steps as one. The border of the image is no edge.

    Args:
        masks: 1 on the foreground.
        reach: the farthest distance that is told apart; beyond it depths are reach + 0.5, or -reach - 0.5.
    """
    inside, outside = masks, ~masks
    steps = masks.to(torch.int16)
    for _ in range(reach):
        inside, outside = grown(inside), grown(outside)
        steps += inside.to(torch.int16) + (~outside).to(torch.int16)
    return steps - (reach + 0.5)


def grown(shapes: Bool[Tensor, "batch 1 height width"]) -> Bool[Tensor, "batch 1 height width"]:
    """Add all eight neighbours of each pixel: two passes of OR, several times as fast as a pooling of numbers."""
    for axis in (2, 3):
        narrow, count = shapes, shapes.shape[axis] - 1
        shapes = narrow.clone()
        shapes.narrow(axis, 1, count).logical_or_(narrow.narrow(axis, 0, count))
        shapes.narrow(axis, 0, count).logical_or_(narrow.narrow(axis, 1, count))
    return shapes
