"""A table as a data set: features, classes and groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unconfound.data.columns import encode_columns, feature_names, fit_columns
from unconfound.data.source import Dataset, MemorySource, Schema, Source
from unconfound.data.splits import train_test_indices
from unconfound.data.subset import Subset
from unconfound.data.table_files import read_frame
from unconfound.data.targets import fit_targets, labelled_part, present_targets, read_targets


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
    stored = fit_targets(frame, path, label=label, group=group)
    labels, _, _ = read_targets(frame, stored | {"group": None}, [])
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
        labelled=labelled_part(train),
        restore={"kind": "table", "encoding": stored, "columns": feature_names(stored["columns"])},
    )


def _encoded(path: Path, frame: pd.DataFrame, notes: list[str], encoding: dict[str, Any]) -> Dataset:
    """Every row of a new table, read as an earlier one was."""
    source = _source(path, frame, present_targets(frame, encoding), notes)
    restore: dict[str, object] = {
        "kind": "table",
        "encoding": encoding,
        "columns": feature_names(encoding["columns"]),
    }
    return Dataset(train=source, tests={}, labelled=labelled_part(source), restore=restore)


def _source(path: Path, frame: pd.DataFrame, stored: dict[str, Any], notes: list[str]) -> MemorySource:
    """All rows as features; what is noteworthy is added to `notes`, which the source keeps."""
    features, encoded_notes = encode_columns(frame, stored["columns"])
    notes += encoded_notes
    labels, groups, names = read_targets(frame, stored, notes)
    return MemorySource(
        name=path.name,
        schema=Schema(
            "tables",
            (features.shape[1],),
            tuple(stored["classes"]),
            names,
            columns=tuple(len(feature_names([column])) for column in stored["columns"]),
        ),
        inputs=torch.from_numpy(features),
        labels=labels,
        groups=groups,
        names=[str(row) for row in range(len(frame))],
        notes=notes,
    )
