"""The columns of a table that say what is to be told apart: classes and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.divide.splits import train_test_indices
from unconfound.data.tables.columns import as_text, text_positions, word_notes

# The group of the rows whose group is not given: each labelled row counts towards some group's accuracy.
_MISSING = "missing"


def fit_targets(frame: pd.DataFrame, path: Path, *, label: str | None, group: str | None) -> dict[str, Any]:
    """Find the classes and the groups' attributes.

    Returns:
        label, classes, group, attributes, as JSON values.

    Raises:
        ValueError: a column that is not there, or holds no classes.
    """
    for role, name in (("label", label), ("group", group)):
        if name is not None and name not in frame.columns:
            near = get_close_matches(name, frame.columns, n=3, cutoff=0.4) or list(frame.columns[:5])
            raise ValueError(f"{path} has no {role} column {name!r}: did you mean {', '.join(near)}?")
    if label is not None and label == group:
        raise ValueError(f"label and group are both {label!r}: give two columns, or no group")
    classes: list[str] = []
    if label is not None:
        _check_classes(frame[label], label)
        classes = _ordered(frame[label])
    attributes = [] if group is None else _ordered(frame[group])
    if group is not None and bool(frame[group].isna().any()):
        attributes.append(_MISSING)
    return {"label": label, "classes": classes, "group": group, "attributes": attributes}


def with_targets(
    encoding: Mapping[str, Any] | None, frame: pd.DataFrame, path: Path, *, label: str | None, group: str | None
) -> Mapping[str, Any]:
    """Return an encoding that says what is to be told apart: as it is where it does, else with the table's own.

    Raises:
        ValueError: as `fit_targets`; or the label or group is a feature of the encoding.
    """
    if encoding is not None and "classes" in encoding:
        return encoding
    features = [column["name"] for column in (encoding or {}).get("columns", ())]
    for role, name in (("label", label), ("group", group)):
        if name is not None and name in features:
            raise ValueError(
                f"the {role} column {name!r} of {path} is a feature of the encoder, which would be told the answer: "
                f"train that encoder with --{role} {name}, too"
            )
    return {**(encoding or {}), **fit_targets(frame, path, label=label, group=group)}


def present_targets(frame: pd.DataFrame, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `fit_targets` stored, without a label or group whose column new data lack."""
    return {**stored} | {role: stored[role] if stored[role] in frame.columns else None for role in ("label", "group")}


def read_targets(
    frame: pd.DataFrame, stored: Mapping[str, Any], notes: list[str]
) -> tuple[Int[Tensor, " rows"] | None, Int[Tensor, " rows"] | None, tuple[str, ...]]:
    """Return labels, groups (class x attribute where there are labels) and the names of the groups.

    What is noteworthy is added to `notes`.
    """
    label, group, classes, attributes = (stored[key] for key in ("label", "group", "classes", "attributes"))
    labels = _codes(frame, label, classes, notes)
    groups, names = _codes(frame, group, attributes, notes), [f"{group}={value}" for value in attributes]
    if groups is not None and labels is not None:
        known = (groups >= 0) & (labels >= 0)
        groups = torch.where(known, labels * len(attributes) + groups, -1)
        names = [f"{label}={first}, {second}" for first in classes for second in names]
    return labels, groups, tuple(names) if groups is not None else ()


def drawn_rows(
    frame: pd.DataFrame, stored: Mapping[str, Any], *, test_share: float, seed: int
) -> dict[str, Int[Tensor, " part"]]:
    """Draw the rows of "train" and "test", each class of `stored` in the same proportion."""
    labels, _, _ = read_targets(frame, {**present_targets(frame, stored), "group": None}, [])
    train, test = train_test_indices(len(frame), labels, test_share, seed)
    return {"train": train, "test": test}


def _codes(
    frame: pd.DataFrame, name: str | None, values: Sequence[str], notes: list[str]
) -> Int[Tensor, " rows"] | None:
    """The place of each cell among the values, -1 where it is missing or unknown."""
    if name is None:
        return None
    texts = as_text(frame[name])
    if _MISSING in values:
        texts = texts.fillna(_MISSING)
    codes = text_positions(texts, values)
    missing, unknown = int(texts.isna().sum()), int(((codes < 0) & texts.notna()).sum())
    if missing:
        notes.append(f"column {name!r}: {missing:,} of {len(frame):,} rows have no value (-1)")
    if unknown:
        notes.append(f"column {name!r}: {unknown:,} of {len(frame):,} rows have a value unknown in training (-1)")
    notes += word_notes(name, values)
    return torch.from_numpy(codes)


def _ordered(column: pd.Series) -> list[str]:
    """The distinct values as text; numbers in their order, everything else in that of the alphabet."""
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(known):
        known = known.sort_values()
        return list(dict.fromkeys(as_text(known)))
    return sorted(as_text(known).unique())


def _check_classes(column: pd.Series, name: str) -> None:
    known = column.dropna()
    if not len(known):
        raise ValueError(f"the label column {name!r} is empty: give another, or no label")
    if pd.api.types.is_float_dtype(known) and bool(np.isinf(known.astype("float64")).any()):
        raise ValueError(f"the label column {name!r} holds infinity: classes are needed")
    distinct = as_text(known).nunique()
    fractional = pd.api.types.is_float_dtype(known) and bool((known % 1 != 0).any())
    if (fractional and distinct > 20) or (distinct > 20 and distinct > len(known) / 2):
        raise ValueError(
            f"the label column {name!r} has {distinct:,} different values in {len(known):,} rows: classes are needed, "
            "so cut a quantity into ranges first"
        )
