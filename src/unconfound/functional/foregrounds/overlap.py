"""How far two masks of an image cover the same."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def intersection_over_union(
    first: Bool[Tensor, "batch 1 height width"], second: Bool[Tensor, "batch 1 height width"]
) -> Float[Tensor, " batch"]:
    """Return the share of the pixels in either mask of an image that are in both: 0 to 1, and 1 if both are empty."""
    both, either = (each.flatten(1).sum(1) for each in (first & second, first | second))
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)
