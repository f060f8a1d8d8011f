"""A table as a data set: features, classes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.columns import as_text, encode_columns, feature_names, fit_columns, places
from unconfound.data.source import Dataset, MemorySource, Schema, Source
from unconfound.data.splits import train_test_indices
from unconfound.data.subset import Subset
from unconfound.data.table_files import read_frame

# The group of the rows whose group is not given: each labelled row counts towards some group's accuracy.
_MISSING = "missing"


def table(
    path: Path,
    *,
    label: str | None = None,
    group: str | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    encoding: dict[str, Any] | None = None,
) -> Dataset:
    """Read a CSV file (.csv, .csv.gz, .tsv, with a header) or a Parquet file.

    `columns.fit_columns` says how columns become features. Neither the label nor the group is among them. The groups
    are class x value of the group column, as worst-group accuracy takes them, named "income=>50K, sex=Female"; the
    values alone where there is no label. Rows without a label train unlabelled (-1) and do not test. Rows are named by
    their number, from 0.

    Args:
        path: the file.
        label: the column of the class; None where there is none.
        group: the column of the group; None where there is none.
        test_share: the share of the rows of each class that test, in [0, 1).
        seed: of that split.
        encoding: the "encoding" of an earlier `Dataset.restore`: all rows are then read as that table was, into
            `train`, with its label and group where those columns are there.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file, column or cell that cannot be learnt from; the message names it.
    """
    frame, notes = read_frame(path)
    if encoding is not None:
        return _encoded(path, frame, notes, encoding)
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
    stored: dict[str, Any] = {"label": label, "classes": classes, "group": group, "attributes": attributes}
    labels = _codes(frame, label, classes, [])
    train_rows, test_rows = train_test_indices(len(frame), labels, test_share, seed)
    if group is not None:
        notes.append(f"column {group!r} makes the groups and is no feature")
    features = frame.drop(columns=[name for name in (label, group) if name is not None])
    if not len(features.columns):
        raise ValueError(f"{path} has no column besides label and group: nothing to learn from")
    stored["columns"], fitted_notes = fit_columns(features.iloc[train_rows.numpy()])
    notes += fitted_notes
    whole = _source(path, frame, stored, notes)
    train = Subset(whole, train_rows, notes=notes)
    tests: dict[str, Source] = {"test": Subset(whole, test_rows, name=f"{path.name} test")} if len(test_rows) else {}
    return Dataset(
        train=train,
        tests=tests,
        labelled=_labelled(train),
        restore={"kind": "table", "encoding": stored, "columns": feature_names(stored["columns"])},
    )


def _encoded(path: Path, frame: pd.DataFrame, notes: list[str], encoding: dict[str, Any]) -> Dataset:
    """Every row of a new table, read as an earlier one was."""
    there = {role: encoding[role] if encoding[role] in frame.columns else None for role in ("label", "group")}
    source = _source(path, frame, encoding | there, notes)
    restore: dict[str, object] = {
        "kind": "table",
        "encoding": encoding,
        "columns": feature_names(encoding["columns"]),
    }
    return Dataset(train=source, tests={}, labelled=_labelled(source), restore=restore)


def _source(path: Path, frame: pd.DataFrame, stored: dict[str, Any], notes: list[str]) -> MemorySource:
    """All rows as features; what is noteworthy is added to `notes`, which the source keeps."""
    features, encoded_notes = encode_columns(frame, stored["columns"])
    notes += encoded_notes
    label, group, classes, attributes = (stored[key] for key in ("label", "group", "classes", "attributes"))
    labels = _codes(frame, label, classes, notes)
    groups, names = _codes(frame, group, attributes, notes), [f"{group}={value}" for value in attributes]
    if groups is not None and labels is not None:
        known = (groups >= 0) & (labels >= 0)
        groups = torch.where(known, labels * len(attributes) + groups, -1)
        names = [f"{label}={first}, {second}" for first in classes for second in names]
    return MemorySource(
        name=path.name,
        schema=Schema(
            "tables",
            (features.shape[1],),
            tuple(classes),
            tuple(names) if groups is not None else (),
            columns=tuple(len(feature_names([column])) for column in stored["columns"]),
        ),
        inputs=torch.from_numpy(features),
        labels=labels,
        groups=groups,
        names=[str(row) for row in range(len(frame))],
        notes=notes,
    )


def _labelled(source: Source) -> Source | None:
    """The samples that carry a label; the source itself where all do, None where none does."""
    if source.labels is None or bool((source.labels < 0).all()):
        return None
    known = (source.labels >= 0).nonzero().squeeze(1)
    return source if len(known) == len(source) else Subset(source, known, name=f"{source.name} labelled")


def _codes(
    frame: pd.DataFrame, name: str | None, values: Sequence[str], notes: list[str]
) -> Int[Tensor, " rows"] | None:
    """The place of each cell among the values, -1 where it is missing or unknown."""
    if name is None:
        return None
    texts = as_text(frame[name])
    if _MISSING in values:
        texts = texts.fillna(_MISSING)
    codes = places(texts, values)
    missing, unknown = int(texts.isna().sum()), int(((codes < 0) & texts.notna()).sum())
    if missing:
        notes.append(f"column {name!r}: {missing:,} of {len(frame):,} rows have no value (-1)")
    if unknown:
        notes.append(f"column {name!r}: {unknown:,} of {len(frame):,} rows have a value unknown in training (-1)")
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
    distinct = known.nunique()
    fractional = pd.api.types.is_float_dtype(known) and bool((known % 1 != 0).any())
    if (fractional and distinct > 20) or (distinct > 20 and distinct > len(known) / 2):
        raise ValueError(
            f"the label column {name!r} has {distinct:,} different values in {len(known):,} rows: classes are needed, "
            "so cut a quantity into ranges first"
        )
