"""A table as a data set: features, classes and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Schema
from unconfound.data.core.subset import divided
from unconfound.data.files.damaged import located
from unconfound.data.tables.columns import encode_columns, feature_names, fit_columns
from unconfound.data.tables.table_files import read_table_file
from unconfound.data.tables.targets import drawn_rows, present_targets, read_targets, with_targets
from unconfound.data.tables.written_numbers import plain_column


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
        encoding: the "encoding" of an earlier `Dataset.restore`: the rows are then read as that table was, with its
            label and group where those columns are there, and split by its classes; of `features_alone`, with a label,
            a group and classes of their own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file, column or cell that cannot be learnt from; the message names it.
    """
    whole = encoding is not None and "classes" in encoding
    stored: Mapping[str, Any] = {"label": label, "group": group, "columns": []} | (encoding or {})
    targets = [stored[role] for role in ("label", "group") if stored[role] is not None]
    file = read_table_file(path, expected=[*targets, *(column["name"] for column in stored["columns"])])
    frame = file.frame
    if file.delimiter is not None:
        # Classes and groups keep their words; features may be numbers that are written in other ways.
        frame = frame.assign(**{name: plain_column(frame[name]) for name in targets if name in frame.columns})
    with located(path):
        stored = with_targets(encoding, frame, path, label=label, group=group)
        parts = drawn_rows(frame, stored, test_share=test_share, seed=seed)
        if not whole:
            file.notes.extend(_left_out(frame, stored))
        return frame_table(frame, stored, parts, name=path.name, notes=file.notes, delimiter=file.delimiter)


def _left_out(frame: pd.DataFrame, stored: Mapping[str, Any]) -> list[str]:
    """Say which columns are neither features of an earlier encoding nor what is to be told apart."""
    if "columns" not in stored:
        return []
    known = {stored["label"], stored["group"], *(column["name"] for column in stored["columns"])}
    names = [repr(name) for name in frame.columns if name not in known]
    return [f"columns that the encoder does not know are left out: {', '.join(names[:5])}"] if names else []


def frame_table(
    frame: pd.DataFrame,
    stored: Mapping[str, Any],
    parts: Mapping[str, Int[Tensor, " part"]],
    *,
    name: str,
    notes: Sequence[str] = (),
    delimiter: str | None = None,
) -> Dataset:
    """Make a data set of a table in memory, split as stated.

    Args:
        frame: all rows.
        stored: what `targets.fit_targets` found, and the "columns" of an earlier table; without them they are fitted on
            the training rows.
        parts: positions of the rows of "train" and "test".
        name: how logs and reports call it.
        notes: what was noteworthy so far.
        delimiter: that of the file where it is all text, so that text may be a number; None: cells have types.

    Raises:
        ValueError: a column or cell that cannot be learnt from; the message names it.
    """
    said, stored = [*notes], dict(stored)
    if "columns" not in stored:
        label, group = stored["label"], stored["group"]
        if group is not None:
            said.append(f"column {group!r} makes the groups and is no feature")
        features = frame.drop(columns=[column for column in (label, group) if column is not None])
        if not len(features.columns):
            raise ValueError(f"{name} has no column besides label and group: nothing to learn from")
        stored["columns"], fitted_notes = fit_columns(features, parts["train"].numpy(), delimiter=delimiter)
        said += fitted_notes
    whole = _source(name, frame, present_targets(frame, stored), said)
    restore = {"kind": "table", "encoding": stored, "columns": feature_names(stored["columns"])}
    return divided(whole, parts, restore=restore, notes=said)


def _source(name: str, frame: pd.DataFrame, stored: dict[str, Any], notes: list[str]) -> MemorySource:
    """All rows as features; what is noteworthy is added to `notes`, which the source keeps."""
    features, encoded_notes = encode_columns(frame, stored["columns"])
    notes += encoded_notes
    labels, groups, names = read_targets(frame, stored, notes)
    return MemorySource(
        name=name,
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
