"""What the equations take: precision and NaN, said once, and the checks of tensors and numbers that several share.

Where a function says nothing else,

- it computes in float32, and in float64 where an input is float64, also for half-precision input and under autocast;
- NaN in an input gives NaN, and so does infinity in a row that is normalised. Functions that refuse them say so;
- a row of zeros has the cosine similarity 0 to every row (see `similarity`);
- a loss may be differentiated any number of times, also forwards and under `torch.func`.

Labels, and whatever else names things by whole numbers, come in by `labels`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def wide_dtype(*values: Tensor) -> torch.dtype:
    """Return the type to compute in: what the tensors' types promote to, float32 at least."""
    dtype = torch.float32
    for each in values:
        dtype = torch.promote_types(dtype, each.dtype)
    return dtype


def wide(values: Tensor) -> Tensor:
    """Convert to float32; float64 stays, and so does a tensor that is in float32 already."""
    return values.to(wide_dtype(values))


def wide_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Convert both to the type that they promote to, float32 at least."""
    dtype = wide_dtype(first, second)
    return first.to(dtype), second.to(dtype)


def unit_range(pixels: Tensor) -> Tensor:
    """Divide uint8 pixels by 255, into float32 numbers in [0, 1]; values of any other type stay as they are."""
    return pixels / 255.0 if pixels.dtype == torch.uint8 else pixels


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


def check_rows(name: str, rows: Tensor) -> None:
    """Refuse anything but a floating-point matrix with at least one row and one column.

    Raises:
        TypeError: the tensor is not floating-point.
        ValueError: it is not a matrix, or has no rows or columns.
    """
    check_floating(name, rows)
    if rows.dim() != 2 or rows.numel() == 0:
        raise ValueError(f"{name} must be [rows, features] with at least one of each, got shape {tuple(rows.shape)}")


def check_finite(name: str, rows: Tensor) -> None:
    """Refuse rows that are no numbers.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: NaN or infinity; names how many rows and the first. Or as `check_rows`.
    """
    check_rows(name, rows)
    bad = ~rows.isfinite().all(1)
    if bad.any():
        raise ValueError(
            f"{name} must be finite, but {int(bad.sum())} of {len(rows)} rows hold NaN or infinity, the first is row "
            f"{int(bad.nonzero()[0])}: leave them out"
        )


def check_paired(**matrices: Tensor) -> None:
    """Refuse anything but floating-point matrices of equal shape: row i of each belongs to row i of the others.

    Args:
        matrices: by the name that the error uses.

    Raises:
        TypeError: a matrix is not floating-point.
        ValueError: one is no matrix or has no rows or columns, or its shape is not that of the first.
    """
    for name, rows in matrices.items():
        check_rows(name, rows)
    (first_name, first), *others = matrices.items()
    for name, rows in others:
        if rows.shape != first.shape:
            raise ValueError(
                f"{first_name} and {name} must have equal shapes, row i of one belonging to row i of the other, "
                f"got {tuple(first.shape)} and {tuple(rows.shape)}"
            )


def check_several(rows: Tensor, *, loss: str) -> None:
    """Refuse a single row, over which nothing varies.

    Args:
        rows: of a batch.
        loss: how the error calls what is computed from them.

    Raises:
        ValueError: there are fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(
            f"{loss} measures how features vary over the samples of a batch, and this batch holds {len(rows)}: "
            "use at least 2"
        )


def check_tile(tile: int) -> None:
    """Refuse a tile of no rows.

    Raises:
        ValueError: `tile` is below 1.
    """
    if tile < 1:
        raise ValueError(f"tile must be at least 1 row, got {tile}")


def check_at_least_1(**options: int) -> None:
    """Refuse counts below 1.

    Raises:
        ValueError: names the option.
    """
    for name, value in options.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def check_above_0(**options: float) -> None:
    """Refuse numbers that are not above 0, NaN and infinity.

    Raises:
        ValueError: names the option.
    """
    for name, value in options.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0, got {value}")


def check_at_least_0(**options: float) -> None:
    """Refuse numbers below 0, NaN and infinity.

    Raises:
        ValueError: names the option.
    """
    for name, value in options.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number of at least 0, got {value}")
