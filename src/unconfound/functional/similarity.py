"""Rows of unit length, whose inner products are cosine similarities."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import wide


def normalize(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
    """Divide each row by its Euclidean length, in float32 or better.

    A row of zeros stays zero: its cosine similarity to anything is 0. A row that holds NaN or infinity becomes NaN.
    Lengths neither overflow nor underflow, whatever the scale of the row.

    Returns:
        Rows of length 1, in float64 where the input is, else in float32.
    """
    rows = rescale(rows)
    # The largest entry has the magnitude 1: only rows of zeros are shorter.
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(1)
    return rows / lengths


def rescale(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
    """Divide each row by the largest magnitude in it, a constant to the gradient, in float32 or better.

    A row of zeros stays zero; the length of any other is at least 1, and cannot overflow.
    """
    rows = wide(rows)
    largest = rows.detach().abs().amax(1, keepdim=True)
    return rows / largest.masked_fill(largest == 0, 1)
