"""Columns of a table as numbers: the encoding is fitted on the training rows, kept as JSON values, applied anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64
from numpy import ndarray

CATEGORIES = 1000


def fit_columns(frame: pd.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """Decide how each column of the training rows becomes features.

    Numbers and dates (seconds since 1970) are scaled so that the training rows span [0, 1], and missing ones are the
    training median, flagged by a feature of their own; everything else is one feature a category, of which missing is
    one.

    Args:
        frame: the training rows, without label and group.

    Returns:
        One JSON object a column that gives features, and notes for the run's log.

    Raises:
        ValueError: infinity, a column of objects that are no values, or no column left.
    """
    fitted, notes = [], []
    for name in frame.columns:
        column = frame[name]
        if column.isna().all():
            notes.append(f"column {name!r} is left out: it is empty in the training rows")
            continue
        scale = next((kind for kind, read in _SCALES.items() if read(column) is not None), None)
        if scale is not None:
            fitted.append(_fit_scale(column, kind=scale, notes=notes))
            continue
        values = as_text(column)
        categories = sorted(values.dropna().unique())
        rows = int(values.notna().sum())
        if len(categories) > CATEGORIES or (len(categories) == rows and rows > 1):
            notes.append(
                f"column {name!r} is left out: {len(categories):,} categories in {rows:,} rows name rows, not kinds"
            )
            continue
        missing = int(values.isna().sum())
        if missing:
            notes.append(f"column {name!r}: {missing:,} missing training cells are a category of their own")
        fitted.append({"name": name, "kind": "category", "categories": categories, "missing": bool(missing)})
    if not fitted:
        raise ValueError(f"none of the {len(frame.columns)} columns besides label and group can be learnt from")
    return fitted, notes


def encode_columns(
    frame: pd.DataFrame, fitted: Sequence[dict[str, Any]]
) -> tuple[Float32[ndarray, "rows features"], list[str]]:
    """Turn rows into features by an encoding that `fit_columns` made.

    Values beyond the range of the training rows go beyond [0, 1]; a category that they lack is all zeros, and so is a
    missing one where they lacked none. Both are noted.

    Raises:
        ValueError: a column of the encoding is absent, infinite, or of another kind.
    """
    absent = [str(column["name"]) for column in fitted if column["name"] not in frame.columns]
    if absent:
        raise ValueError(f"the table lacks the columns {', '.join(absent)}, on which the encoder was trained")
    features = np.zeros((len(frame), len(feature_names(fitted))), np.float32)
    notes: list[str] = []
    start = 0
    for column in fitted:
        width = len(feature_names([column]))
        encode = _encode_categories if column["kind"] == "category" else _encode_scale
        encode(frame[column["name"]], column, features[:, start : start + width], notes)
        start += width
    return features, notes


def feature_names(fitted: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the features: "age", "age missing", "sex=Female", "sex missing", in their order."""
    names = []
    for column in fitted:
        if column["kind"] == "category":
            names += [f"{column['name']}={category}" for category in column["categories"]]
        else:
            names.append(str(column["name"]))
        if column["missing"]:
            names.append(f"{column['name']} missing")
    return names


def as_text(column: pd.Series) -> pd.Series:
    """The values as text, whole numbers without a decimal point, missing ones as None.

    Raises:
        ValueError: values that are lists, tables or bytes.
    """

    def written(value: object) -> str:
        if isinstance(value, (list, dict, tuple, set, bytes, ndarray)):
            raise ValueError(
                f"column {column.name!r} holds a {type(value).__name__} in a cell: one number or text a cell is needed"
            )
        if isinstance(value, (float, np.floating)) and float(value).is_integer():
            return str(int(value))
        return str(value)

    # Each distinct value is written once; values that cannot be compared are among those refused.
    codes, distinct = pd.factorize(column.map(written, na_action="ignore") if column.dtype == object else column)
    texts = np.array([*(written(value) for value in distinct), None], dtype=object)
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def places(texts: pd.Series, values: Sequence[str]) -> Int64[ndarray, " rows"]:
    """The place of each text among the values, -1 where it is missing or none of them."""
    found = pd.Index(np.array(values, dtype=object)).get_indexer(texts.to_numpy(object))
    return np.asarray(found, np.int64)


def _as_numbers(column: pd.Series) -> pd.Series | None:
    """Numbers, decimals and durations as float64 with NaN where missing; None where the column is of another kind."""
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(f"column {column.name!r} holds complex numbers: split it into two columns")
    if pd.api.types.is_timedelta64_dtype(column):
        return pd.Series(pd.to_timedelta(column).dt.total_seconds())
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric or pd.api.types.infer_dtype(column, skipna=True) == "decimal":
        return column.astype("float64")
    return None


def _as_times(column: pd.Series) -> pd.Series | None:
    """Dates and times as seconds since 1970, NaN where missing; None where the column is of another kind."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if isinstance(column.dtype, pd.CategoricalDtype) or kind not in (
        "string",
        "date",
        "datetime",
        "datetime64",
    ):
        return None
    try:
        # As text, only the unambiguous order year-month-day is taken for a date.
        moments = pd.to_datetime(column, format="ISO8601", utc=True)
    except (ValueError, TypeError, OverflowError):
        return None
    return pd.Series((moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1))


_SCALES: dict[str, Callable[[pd.Series], pd.Series | None]] = {"number": _as_numbers, "time": _as_times}


def _check_finite(numbers: pd.Series) -> None:
    infinite = np.flatnonzero(np.isinf(numbers.to_numpy()))
    if len(infinite):
        raise ValueError(
            f"column {numbers.name!r} is infinite in row {numbers.index[infinite[0]]} "
            "(the first row after the header is 0): leave the cell empty or give a number"
        )


def _fit_scale(column: pd.Series, *, kind: str, notes: list[str]) -> dict[str, Any]:
    numbers = pd.Series(_SCALES[kind](column))
    _check_finite(numbers)
    known = numbers.dropna()
    low, high, median = float(known.min()), float(known.max()), float(known.median())
    missing = int(numbers.isna().sum())
    if kind == "time":
        notes.append(f"column {column.name!r} is read as a time")
    if missing:
        notes.append(f"column {column.name!r}: {missing:,} missing training cells become the median and are flagged")
    if low == high:
        notes.append(f"column {column.name!r} has one value in all training rows: it becomes 0")
    return {
        "name": column.name,
        "kind": kind,
        "low": low,
        "high": high,
        "median": median,
        "missing": bool(missing),
    }


def _encode_scale(
    column: pd.Series, fitted: dict[str, Any], features: Float32[ndarray, "rows width"], notes: list[str]
) -> None:
    numbers = pd.Series(np.nan, index=column.index) if column.isna().all() else _SCALES[fitted["kind"]](column)
    if numbers is None:
        known = column.dropna()
        bad = known[pd.to_numeric(known, errors="coerce").isna()] if fitted["kind"] == "number" else known
        row = bad.index[0] if len(bad) else known.index[0]
        raise ValueError(
            f"column {column.name!r} holds {column.loc[row]!r} in row {row}: "
            f"a {fitted['kind']} is needed, as in training"
        )
    _check_finite(numbers)
    missing = numbers.isna().to_numpy()
    # In float64 until scaled: seconds since 1970 have more digits than float32.
    filled = numbers.fillna(fitted["median"]).to_numpy()
    # Halved, the widest range does not overflow.
    reach = fitted["high"] / 2 - fitted["low"] / 2
    features[:, 0] = (filled / 2 - fitted["low"] / 2) / reach if reach > 0 else 0.0
    if fitted["missing"]:
        features[:, 1] = missing
    elif missing.any():
        notes.append(f"column {column.name!r}: {int(missing.sum()):,} missing cells are the training median")


def _encode_categories(
    column: pd.Series, fitted: dict[str, Any], features: Float32[ndarray, "rows width"], notes: list[str]
) -> None:
    values = as_text(column)
    codes = places(values, fitted["categories"])
    missing = values.isna().to_numpy()
    known = np.flatnonzero(codes >= 0)
    features[known, codes[known]] = 1
    if fitted["missing"]:
        features[missing, -1] = 1
    elif missing.any():
        notes.append(f"column {column.name!r}: {int(missing.sum()):,} missing cells are all zeros")
    unseen = (codes < 0) & ~missing
    if unseen.any():
        shown = ", ".join(sorted(values[unseen].unique())[:3])
        notes.append(
            f"column {column.name!r}: {int(unseen.sum()):,} cells of unknown categories ({shown}) are all zeros"
        )
