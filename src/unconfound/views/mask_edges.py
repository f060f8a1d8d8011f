"""Random edges of masks: wider or narrower by some pixels, and soft."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.distributed import uniform

# Share of a foreground that an erosion leaves at least.
_LEFT = 0.25


def reach(rim: int, soft_edge: float) -> int:
    """Return the distance in pixels from a mask up to which `random_edges` may let a foreground show."""
    return rim + math.ceil(soft_edge)


def random_edges(
    depths: Float[Tensor, "batch 1 height width"],
    *,
    rim: int,
    soft_edge: float,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch 1 height width"]:
    """Say how much of each foreground shows, with an edge drawn at random for each image.

    The edge is moved outwards or inwards by a whole number of pixels, uniform in [-rim, rim], and fades over a band
    around it whose half width in pixels is uniform in [0, soft_edge]. An erosion that would leave less than a quarter
    of a foreground's pixels is shortened until it does not, so that thin strokes stay.

    Args:
        depths: of the masks, with a reach of `reach(rim, soft_edge)` or more.
        rim: 0 or above.
        soft_edge: 0 or above.
        generator: where the randomness comes from; by default torch's global one of the masks' device.

    Returns:
        1 where the foreground alone shows, 0 where it does not, and between along a soft edge.
    """
    numbers = uniform(len(depths), 2, generator=generator, device=depths.device).to(depths.device)
    shift = (numbers[:, 0] * (2 * rim + 1)).floor().clamp_max(2 * rim) - rim
    area = (depths > 0).sum((1, 2, 3))
    # Areas fall with the erosion, so that those which leave enough are the shortest ones.
    longest = sum(((depths > step).sum((1, 2, 3)) >= _LEFT * area).float() for step in range(1, rim + 1))
    shift = torch.maximum(shift, -torch.as_tensor(longest, device=shift.device))
    # No pixel lies on an edge, so that a tiny width gives a hard one.
    width = (2 * soft_edge * numbers[:, 1]).clamp_min(1e-6)
    return ((depths + shift.view(-1, 1, 1, 1)) / width.view(-1, 1, 1, 1) + 0.5).clamp(0, 1)
