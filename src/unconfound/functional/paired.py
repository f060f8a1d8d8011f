"""Two matrices whose rows belong together: row i of the one and row i of the other are views of one sample."""

from __future__ import annotations

from torch import Tensor

from unconfound.functional.similarity import check_rows


def check_paired(first: Tensor, second: Tensor, *, loss: str, least: int = 1) -> None:
    """Refuse anything but two floating-point matrices of equal shape with enough rows.

    Args:
        first, second: the matrices.
        loss: how the error calls what is computed from them.
        least: rows that this needs.

    Raises:
        TypeError: a matrix is not floating-point.
        ValueError: one is no matrix, the shapes differ, or there are fewer rows.
    """
    check_rows("first", first)
    check_rows("second", second)
    if first.shape != second.shape:
        raise ValueError(
            "first and second must have equal shapes, row i of one belonging to row i of the other, "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if len(first) < least:
        raise ValueError(
            f"{loss} measures how features vary over the samples of a batch, and this batch holds {len(first)}: "
            f"use at least {least}"
        )
