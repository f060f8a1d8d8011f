"""Positions of runs in a flat array: how samples of unequal size are picked without a loop."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def concatenated_ranges(starts: Int[Tensor, " runs"], lengths: Int[Tensor, " runs"]) -> Int[Tensor, " total"]:
    """Return start, start + 1, ..., start + length - 1 of every run, one run after the other."""
    ends = lengths.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    return torch.arange(total) + (starts - ends + lengths).repeat_interleave(lengths, output_size=total)
