"""Two tables of the UCI repository by name, read from their own files and split as they are published."""

from __future__ import annotations

import string
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unconfound.data.core.source import Dataset
from unconfound.data.sets.torchvision_sets import folder_inside, need_files
from unconfound.data.tables.table import frame_table
from unconfound.data.tables.targets import fit_targets
from unconfound.suggestions import nearest_name

# In the words of adult.names; what is not a number is a category.
_ADULT = {
    "age": "int64",
    "workclass": "str",
    "fnlwgt": "int64",
    "education": "str",
    "education-num": "int64",
    "marital-status": "str",
    "occupation": "str",
    "relationship": "str",
    "race": "str",
    "sex": "str",
    "capital-gain": "int64",
    "capital-loss": "int64",
    "hours-per-week": "int64",
    "native-country": "str",
    "income": "str",
}
_ADULT_ROWS = {"adult.data": 32_561, "adult.test": 16_281}
# In the words of letter-recognition.names: a letter, then 16 measures of its picture.
_LETTER_MEASURES = (
    *("x-box", "y-box", "width", "high", "onpix", "x-bar", "y-bar", "x2bar"),
    *("y2bar", "xybar", "x2ybr", "xy2br", "x-ege", "xegvy", "y-ege", "yegvx"),
)
_LETTER = {"letter": "str"} | dict.fromkeys(_LETTER_MEASURES, "int64")
_LETTER_FILE, _LETTER_TRAIN, _LETTER_ROWS = "letter-recognition.data", 16_000, 20_000


def uci_table(
    name: str, root: Path | None, *, group: str | None = None, encoding: dict[str, Any] | None = None
) -> Dataset:
    """Read a UCI table with its published split.

    Columns become features as `columns.fit_columns` says, decided on the training rows. Rows are named by their number,
    from 0, counted on from the training into the test rows.

    Args:
        name: "adult" (label income; adult.data trains, adult.test tests) or "letter" (label letter; the first 16,000
            rows train, the last 4,000 test).
        root: the folder that holds `adult` or `letter`, or that folder itself.
        group: a column that makes the groups and is no feature, such as "sex" of adult.
        encoding: the "encoding" of an earlier `Dataset.restore`: the rows are then read as that table was.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: the name or the column is unknown, `root` is None, or a file is damaged.
    """
    if name not in ("adult", "letter"):
        raise ValueError(f"{name!r} is no UCI table known here: {nearest_name(name, ('adult', 'letter'))}")
    if root is None:
        raise ValueError(f"{name} is read from files: say which folder holds them (--data-root)")
    folder = folder_inside(root, name)
    need_files(name, folder, list(_ADULT_ROWS) if name == "adult" else [_LETTER_FILE])
    frame, training, notes = _adult(folder) if name == "adult" else _letter(folder)
    label = "income" if name == "adult" else "letter"
    stored = fit_targets(frame, folder, label=label, group=group) if encoding is None else encoding
    rows = torch.arange(len(frame))
    return frame_table(frame, stored, name=name, train_rows=rows[:training], test_rows=rows[training:], notes=notes)


def _adult(folder: Path) -> tuple[pd.DataFrame, int, list[str]]:
    """Return all rows, how many of them train, and notes."""
    parts, notes = [], []
    for file, official in _ADULT_ROWS.items():
        part = _read(folder / file, _ADULT)
        # Labels of the test rows end in a full stop.
        part["income"] = part["income"].str.removesuffix(".")
        _check_labels(part["income"], folder / file, ("<=50K", ">50K"))
        if len(part) != official:
            notes.append(f"{file} holds {len(part):,} rows, the published one {official:,}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True), len(parts[0]), notes


def _letter(folder: Path) -> tuple[pd.DataFrame, int, list[str]]:
    path = folder / _LETTER_FILE
    frame = _read(path, _LETTER)
    _check_labels(frame["letter"], path, tuple(string.ascii_uppercase))
    if len(frame) != _LETTER_ROWS:
        raise ValueError(f"{path} is damaged: it holds {len(frame):,} rows, the published file {_LETTER_ROWS:,}")
    return frame, _LETTER_TRAIN, []


def _read(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # pandas only warns of cells beyond the last column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # adult.test begins with a line of remark, marked by a bar.
            return pd.read_csv(
                path,
                names=list(columns),
                dtype=columns,
                comment="|",
                skipinitialspace=True,
                keep_default_na=False,
                na_values={name: ["?"] for name, kind in columns.items() if kind == "str"},
                index_col=False,
            )
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def _check_labels(labels: pd.Series, path: Path, classes: tuple[str, ...]) -> None:
    unknown = labels[~labels.isin(classes)]
    if len(unknown):
        raise ValueError(
            f"{path} is damaged: row {unknown.index[0]} has the label {unknown.iloc[0]!r}, "
            f"expected {classes[0]}, ..., {classes[-1]}"
        )
