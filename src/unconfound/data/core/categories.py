"""Labels and groups as numbers: whatever names they come with, samples carry 0, 1, ..."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def encode(
    values: np.ndarray, *, what: str, known: tuple[str, ...] | None = None, unlabelled: bool = False
) -> tuple[Int[Tensor, " samples"], tuple[str, ...]]:
    """Number the distinct values in their order: strings by the alphabet, integers by size.

    Args:
        values: [samples] or [samples, 1] integers, whole floats, booleans or strings.
        what: how an error calls them.
        known: the names of 0, 1, ... (those of the training samples), or None: those that occur.
        unlabelled: -1 and the empty string mean that a sample has none; it gets -1.

    Returns:
        the number of each sample, and the names of the numbers.

    Raises:
        ValueError: the values are of another kind or shape, or one of them is not among the known.
    """
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise ValueError(f"{what} have the shape {values.shape}: one value a sample is needed")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise ValueError(f"{what} are {values.dtype} and not all whole: integers or strings are needed")
        values = values.astype(np.int64)
    if values.dtype.kind not in "iubUS":
        raise ValueError(f"{what} are {values.dtype}: integers or strings are needed")
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    missing = (values == ("" if values.dtype.kind == "U" else -1)) if unlabelled else np.zeros(len(values), bool)
    distinct, numbers = np.unique(values[~missing], return_inverse=True)
    names = tuple(str(value) for value in distinct)
    encoded = np.full(len(values), -1, dtype=np.int64)
    if known is not None:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f"{what} hold {', '.join(unknown[:5])}, which the training samples lack: "
                f"they have {', '.join(known[:10]) or 'none'}{', ...' if len(known) > 10 else ''}"
            )
        numbers = np.array([known.index(name) for name in names], dtype=np.int64)[numbers]
    encoded[~missing] = numbers
    return torch.from_numpy(encoded), names if known is None else known
