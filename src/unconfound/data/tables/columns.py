"""Columns of a table as numbers: the encoding is fitted on the training rows, kept as JSON values, applied anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64
from numpy import ndarray

from unconfound.data.tables.column_kinds import Scale, find_scale
from unconfound.data.tables.scaled_columns import encode_scale, fit_scale
from unconfound.data.tables.written_numbers import MISSING_WORDS

CATEGORIES = 1000
# From this number on, it is said how many features the categories of a column become.
_DOZENS = 20


def fit_columns(
    frame: pd.DataFrame, train: Int64[ndarray, " train"] | None = None, *, delimiter: str | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Decide how each column becomes features.

    Numbers and dates (seconds since 1970) are scaled so that the training rows span [0, 1], and missing ones are the
    training median, flagged by a feature of their own; everything else is one feature a category, of which missing is
    one. `column_kinds.find_scale` says what is a number. How a column is written is found out from all rows, ranges,
    medians and categories from the training rows only.

    Args:
        frame: all rows, without label and group.
        train: positions of the training rows; None: all of them.
        delimiter: that of the file where it is all text, so that text may be a number; None: cells have types.

    Returns:
        One JSON object a column that gives features, and notes for the run's log.

    Raises:
        ValueError: infinity, a column of objects that are no values, or no column left.
    """
    train = np.arange(len(frame)) if train is None else train
    fitted, notes = [], []
    scales, said = _find_scales(frame, delimiter)
    for name in frame.columns:
        scale, column = scales[name], frame[name].iloc[train]
        if column.isna().all() or (scale is not None and np.isnan(scale.numbers[train]).all()):
            notes.append(f"column {name!r} is left out: it is empty in the training rows")
            continue
        notes += said.get(name, [])
        if scale is not None:
            fitted.append(fit_scale(frame[name], scale, train, notes))
            continue
        values = as_text(column)
        categories = sorted(values.dropna().unique())
        rows = int(values.notna().sum())
        if len(categories) > CATEGORIES or (len(categories) == rows and rows > 1):
            notes.append(
                f"column {name!r} is left out: {len(categories):,} categories in {rows:,} rows name rows, not kinds"
            )
            continue
        if len(categories) > _DOZENS:
            notes.append(f"column {name!r} becomes {len(categories):,} features, one for each category")
        missing = int(values.isna().sum())
        if missing:
            notes.append(f"column {name!r}: {missing:,} missing training cells are a category of their own")
        notes += word_notes(name, categories)
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
    stored = [str(column["name"]) for column in fitted]
    _check_lists(stored, frame)
    absent = [name for name in stored if name not in frame.columns]
    if absent:
        raise ValueError(f"the table lacks the columns {', '.join(absent)}, on which the encoder was trained")
    features = np.zeros((len(frame), len(feature_names(fitted))), np.float32)
    notes: list[str] = []
    start = 0
    for column in fitted:
        width = len(feature_names([column]))
        encode = _encode_categories if column["kind"] == "category" else encode_scale
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


def _check_lists(stored: Sequence[str], frame: pd.DataFrame) -> None:
    """Refuse lists of another length than in training: their places are the columns "name[0]", "name[1]", ..."""
    found = _lengths(frame.columns)
    for name, length in _lengths(stored).items():
        # Lists that are not all of one length are left as they are.
        as_is = name in frame.columns and name not in found
        cells: list[object] = frame[name].dropna().tolist() if as_is else []
        lengths = {len(cell) for cell in cells if isinstance(cell, (list, ndarray))} or {found.get(name, 0)} - {0}
        if lengths - {length}:
            told = " or ".join(map(str, sorted(lengths)))
            raise ValueError(f"column {name!r} holds lists of {told} numbers: those of training have {length}")
        if not lengths and name in frame.columns:
            what = "holds no lists" if len(cells) else "is empty"
            raise ValueError(f"column {name!r} {what}: lists of {length} numbers are needed, as in training")


def _lengths(names: Iterable[str]) -> dict[str, int]:
    """By name, the length of the lists whose places are among the names."""
    names = set(names)
    firsts = sorted(name.removesuffix("[0]") for name in names if name.endswith("[0]"))
    return {name: next(place for place in count() if f"{name}[{place}]" not in names) for name in firsts}


def as_text(column: pd.Series) -> pd.Series:
    """The values as text, whole numbers without a decimal point, missing ones as None.

    Raises:
        ValueError: values that are lists, tables or bytes.
    """

    def written(value: object) -> str:
        if isinstance(value, (list, tuple, ndarray)):
            raise ValueError(
                f"column {column.name!r} holds a list in a cell: of lists, only those of floats in a Parquet file that "
                "all have one length are read, as embeddings; cast whole numbers to floats where they measure something"
            )
        if isinstance(value, (dict, set, bytes)):
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


def text_positions(texts: pd.Series, values: Sequence[str]) -> Int64[ndarray, " rows"]:
    """The place of each text among the values, -1 where it is missing or none of them."""
    found = pd.Index(np.array(values, dtype=object)).get_indexer(texts.to_numpy(object))
    return np.asarray(found, np.int64)


def word_notes(name: str, values: Sequence[str]) -> list[str]:
    """Say which values are words that others take for missing."""
    words = [repr(value) for value in values if value.lower() in MISSING_WORDS]
    return [f"column {name!r}: {', '.join(words)} is a value; leave a cell empty where it is missing"] if words else []


def _find_scales(frame: pd.DataFrame, delimiter: str | None) -> tuple[dict[str, Scale | None], dict[str, list[str]]]:
    """What is known of each column as numbers, and notes.

    A column of decimal commas settles what "1,234" is in the others, as all cells of a file are written alike. Where
    commas delimit, they are no usual decimal mark: a column such as "1,2" settles nothing but itself.
    """
    written = delimiter is not None
    found = {name: find_scale(frame[name], written=written) for name in frame.columns}
    forms = [scale.form for scale, _ in found.values() if scale is not None and scale.form is not None]
    if delimiter not in (None, ",") and any(form.decimal == "," for form in forms):
        found = {name: find_scale(frame[name], written=written, decimal=",") for name in frame.columns}
    notes = {name: [note] for name, (_, note) in found.items() if note is not None}
    return {name: scale for name, (scale, _) in found.items()}, notes


def _encode_categories(
    column: pd.Series, fitted: dict[str, Any], features: Float32[ndarray, "rows width"], notes: list[str]
) -> None:
    values = as_text(column)
    codes = text_positions(values, fitted["categories"])
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
