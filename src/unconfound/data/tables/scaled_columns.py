"""Columns of numbers and times as features: scaled to the training rows, the missing ones flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from unconfound.data.tables.column_kinds import SHARE, Scale, read_scale, stored_form

# So many of the words that stood among the numbers are kept, to be known in new rows.
_WORDS = 100


def _check_finite(name: object, numbers: Float64[ndarray, " rows"], index: pd.Index) -> None:
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(
            f"column {name!r} is infinite in row {index[infinite[0]]} "
            "(the first row after the header is 0): leave the cell empty or give a number"
        )


def fit_scale(column: pd.Series, scale: Scale, train: Int64[ndarray, " train"], notes: list[str]) -> dict[str, Any]:
    """Make the JSON object of a column of numbers or times; what is noteworthy is added to `notes`.

    Args:
        column: all rows, as they came.
        scale: what was found in it.
        train: positions of the training rows, of which some hold a number.
        notes: for the run's log.

    Raises:
        ValueError: an infinite number.
    """
    name, numbers = column.name, scale.numbers[train]
    _check_finite(name, numbers, column.index[train])
    known = numbers[~np.isnan(numbers)]
    low, high, median = float(known.min()), float(known.max()), float(np.median(known))
    missing = len(numbers) - len(known)
    if scale.kind == "time":
        notes.append(f"column {name!r} is read as a time")
    form = stored_form(scale)
    if form:
        notes.append(f"column {name!r} is read as numbers: {scale.form}")
    words = sorted(set(column[scale.strays].map(str)))
    if words:
        notes.append(
            f"column {name!r} is read as {scale.kind}s: {int(scale.strays.sum()):,} cells that hold something else, "
            f"such as {words[0]!r}, count as missing"
        )
    if missing:
        notes.append(f"column {name!r}: {missing:,} missing training cells become the median and are flagged")
    if low == high:
        notes.append(f"column {name!r} has one value in all training rows: it becomes 0")
    if _counts_rows(scale.numbers):
        notes.append(f"column {name!r} counts the rows: leave it out of the file where it is no property of a row")
    return {
        "name": name,
        "kind": scale.kind,
        "low": low,
        "high": high,
        "median": median,
        "missing": bool(missing),
        **form,
        **({"words": words[:_WORDS]} if words else {}),
    }


def encode_scale(
    column: pd.Series, fitted: dict[str, Any], features: Float32[ndarray, "rows width"], notes: list[str]
) -> None:
    """Fill in a column of numbers or times by its JSON object, as `fit_scale` made it.

    Raises:
        ValueError: an infinite number, or more cells of another kind than a few.
    """
    kind, scale = fitted["kind"], read_scale(column, fitted)
    if scale is None:
        # Of another kind as a whole, unless nothing is known at all.
        scale = Scale(kind, np.full(len(column), np.nan), column.notna().to_numpy(bool))
    strays = column[scale.strays]
    odd = strays[~strays.map(str).isin(fitted.get("words", []))]
    if len(odd) and scale.share < SHARE:
        unit = " with %" if fitted.get("form", {}).get("unit") == "%" else ""
        raise ValueError(
            f"column {column.name!r} holds {odd.tolist()[0]!r} in row {odd.index[0]}: "
            f"a {kind}{unit} is needed, as in training"
        )
    if len(odd):
        notes.append(
            f"column {column.name!r}: {len(odd):,} cells are no {kind}, such as {odd.tolist()[0]!r}: they are missing"
        )
    _check_finite(column.name, scale.numbers, column.index)
    missing = np.isnan(scale.numbers)
    # In float64 until scaled: seconds since 1970 have more digits than float32.
    filled = np.where(missing, fitted["median"], scale.numbers)
    # Halved, the widest range does not overflow.
    reach = fitted["high"] / 2 - fitted["low"] / 2
    with np.errstate(over="ignore"):
        scaled = (filled / 2 - fitted["low"] / 2) / reach if reach > 0 else np.zeros(len(filled))
    beyond = np.flatnonzero(np.abs(scaled) > np.finfo(np.float32).max)
    if len(beyond):
        raise ValueError(
            f"column {column.name!r} holds {column.tolist()[beyond[0]]!r} in row {column.index[beyond[0]]}: "
            f"that is too far from the training rows' {fitted['low']:g} to {fitted['high']:g}"
        )
    features[:, 0] = scaled
    if fitted["missing"]:
        features[:, 1] = missing
    elif missing.any():
        notes.append(f"column {column.name!r}: {int(missing.sum()):,} missing cells are the training median")


def _counts_rows(numbers: Float64[ndarray, " rows"]) -> bool:
    """Whether these are 0, 1, 2, ... or 1, 2, 3, ... from the first row to the last."""
    return len(numbers) >= 10 and numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())
