"""Rows of unit length, whose inner products are cosine similarities."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


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
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    largest = rows.detach().abs().amax(1, keepdim=True)
    return rows / largest.masked_fill(largest == 0, 1)


def check_rows(name: str, rows: Tensor) -> None:
    """Refuse anything but a floating-point matrix with at least one row and one column.

    Raises:
        TypeError: the tensor is not floating-point.
        ValueError: it is not a matrix, or has no rows or columns.
    """
    check_floating(name, rows)
    if rows.dim() != 2 or rows.numel() == 0:
        raise ValueError(f"{name} must be [rows, features] with at least one of each, got shape {tuple(rows.shape)}")


def check_tensor(name: str, values: Tensor) -> None:
    """Refuse anything but a tensor.

    Raises:
        TypeError: an array, a list or another thing.
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(values).__name__}: convert with torch.as_tensor")


def check_floating(name: str, values: Tensor) -> None:
    """Refuse anything but a floating-point tensor.

    Raises:
        TypeError: an array or a list, or a tensor of other numbers.
    """
    check_tensor(name, values)
    if not values.is_floating_point():
        raise TypeError(f"{name} must be floating-point, got {values.dtype}: convert with .float()")


def check_tile(tile: int) -> None:
    """Refuse a tile of no rows.

    Raises:
        ValueError: `tile` is below 1.
    """
    if tile < 1:
        raise ValueError(f"tile must be at least 1 row, got {tile}")
