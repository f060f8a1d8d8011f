"""Embeddings with labels of their own as a data set, for an audit without the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.categories import encode
from unconfound.data.core.subset import Subset, divided, labelled_part
from unconfound.data.divide.splits import with_test
from unconfound.data.tables.columns import as_text
from unconfound.data.tables.table_files import read_frame
from unconfound.evaluation.embedding_files import EmbeddingFile
from unconfound.evaluation.figures import VALIDATION
from unconfound.evaluation.joined_names import EXCHANGED, SET_NAMES, Wanted, first_of, rows_of_sets

# The column of names in a table beside the embeddings, or else its first one.
NAME_COLUMNS = ("file", "img_filename", "name")


def with_table(
    file: EmbeddingFile, table: Path, *, label: str | None = None, group: str | None = None
) -> EmbeddingFile:
    """Take the labels, groups and splits of embeddings from a table that names them.

    Args:
        file: with names.
        table: a CSV, TSV or Parquet file. Names are in its column `file`, `img_filename` or `name`, or else in its
            first one; a column `split` says which rows to train on.
        label: its column of the classes, by default `label`.
        group: its column of the groups, by default `group`, if there is one.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: it has no such column, or no name is that of an embedding.
    """
    frame, _ = read_frame(table)
    for needed, option in ((label or "label", "label"), *([] if group is None else [(group, "group")])):
        if needed not in frame.columns:
            raise ValueError(f"{table} has no column {needed!r}: name that of the {option}s by --{option}")
    named = next((each for each in NAME_COLUMNS if each in frame.columns), frame.columns[0])
    names = _cells(frame, named)
    rows = rows_of_sets(replace(file, splits=None), {"": Wanted(names)})[""]
    known = (rows >= 0).nonzero().flatten()
    if len(known) < len(file.features):
        absent = torch.ones(len(file.features), dtype=torch.bool)
        absent[rows[known]] = False
        assert file.names is not None
        first = [file.names[row] for row in absent.nonzero().flatten()[:4].tolist()]
        raise ValueError(
            f"{int(absent.sum()):,} of the {len(absent):,} rows of {file.path} are not in {table}: {first_of(first)}"
        )

    def column(name: str) -> list[str] | None:
        if name not in frame.columns:
            return None
        cells = _cells(frame, name)
        values = [""] * len(file.features)
        for place in known.tolist():
            values[int(rows[place])] = cells[place]
        return values

    return replace(
        file,
        labels=column(label or "label"),
        groups=column(group or "group"),
        splits=file.splits or column("split"),
    )


def dataset_of_embeddings(file: EmbeddingFile, *, test_share: float = 0.2, seed: int = 0) -> Dataset:
    """Make a data set of the rows of a file, with its labels, its groups as they are, and its splits.

    Rows of the split train (or 0) are trained on, those of val (or 1) are the validation part, each other split is a
    test set. Splits on exchanged backgrounds are put in the order of the test set as it is. Without splits, a share of
    each class is drawn. Values are not scaled.

    Args:
        file: with labels.
        test_share: share of each class to test on where the file has no splits.
        seed: for that draw.

    Raises:
        ValueError: there are no labels, nothing to train on, or an exchanged split of other samples.
    """
    if file.labels is None:
        raise ValueError(
            f"{file.path} has no labels: give --data, whose samples it names, or --metadata TABLE, or call the column "
            "of the classes label (--label COLUMN)"
        )
    labels, classes = encode(_codes(file.labels), what=f"{file.path}: labels", unlabelled=True)
    groups, group_names = (
        (None, ()) if file.groups is None else encode(_codes(file.groups), what=f"{file.path}: groups", unlabelled=True)
    )
    names = list(file.names) if file.names is not None else [str(row) for row in range(len(file.features))]
    whole = MemorySource(
        file.path.stem,
        Schema("tables", (file.features.shape[1],), classes, group_names),
        file.features,
        labels,
        groups,
        names=names,
    )
    restore = {"kind": "rows", "features": file.features.shape[1]}
    if file.splits is None:
        return with_test(Dataset(whole, {}, labelled_part(whole), restore=restore), test_share, seed=seed)
    parts = _parts(file.splits, names, file.path)
    if "train" not in parts:
        raise ValueError(f"{file.path} has no split train: it has {first_of([*parts])}")
    validation = parts.pop(VALIDATION, None)
    dataset = divided(whole, parts, restore=restore)
    if validation is None:
        return dataset
    return replace(dataset, validation=Subset(whole, validation, name=f"{whole.name} validation"))


def _parts(splits: Sequence[str], names: Sequence[str], path: Path) -> dict[str, Int[Tensor, " part"]]:
    """Return the rows of each split, the exchanged ones in the order of the test set as it is."""
    called = np.array([SET_NAMES.get(split, split) or "train" for split in splits])
    parts = {str(name): np.flatnonzero(called == name) for name in dict.fromkeys(called.tolist())}
    # Sets of training samples with other backgrounds are no test sets.
    parts = {name: rows for name, rows in parts.items() if not name.startswith("train-")}
    base = next((name for name in ("original", "test", "mixed-same") if name in parts), None)
    if base is None:
        return {name: torch.from_numpy(rows) for name, rows in parts.items()}
    order = {names[row]: place for place, row in enumerate(parts[base].tolist())}
    for name in parts.keys() & {*EXCHANGED}:
        rows = parts[name].tolist()
        if len(order) != len(parts[base]) or sorted(names[row] for row in rows) != sorted(order):
            raise ValueError(
                f"{path}: the rows of {name} are not those of {base}, by their names: one a sample is needed"
            )
        parts[name] = np.array(sorted(rows, key=lambda row: order[names[row]]))
    return {name: torch.from_numpy(rows) for name, rows in parts.items()}


def _codes(values: Sequence[str]) -> np.ndarray:
    """Return texts, or whole numbers where all are such, so that these keep their order; "-1" stands for none."""
    texts = ["" if value == "-1" else value for value in values]
    whole = all(value.lstrip("-").isdecimal() for value in texts if value)
    return np.array([int(value or -1) for value in texts]) if whole and any(texts) else np.array(texts)


def _cells(frame: object, column: str) -> list[str]:
    cells: list[str] = as_text(frame[column]).fillna("").tolist()  # type: ignore[index]
    return cells
