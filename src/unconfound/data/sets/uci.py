"""Two tables of the UCI repository, read from their own files and split as they are published."""

from __future__ import annotations

import string
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import count_notes, need_files, published_folder
from unconfound.data.tables.table import frame_table
from unconfound.data.tables.targets import with_targets
from unconfound.options.data_sets import PublicSet

ADULT = PublicSet(
    name="adult",
    modality="tables",
    about="Adult (census income)",
    paper="Kohavi, Scaling Up the Accuracy of Naive-Bayes Classifiers: a Decision-Tree Hybrid, KDD 1996",
    source="https://archive.ics.uci.edu/dataset/2/adult",
    licence="CC BY 4.0",
    reader="sets.uci:adult",
    folders=("adult",),
    counts={"rows of adult.data": 32_561, "rows of adult.test": 16_281},
)
LETTER = PublicSet(
    name="letter",
    modality="tables",
    about="Letter recognition: measures of pictures of letters",
    paper="Frey and Slate, Letter Recognition Using Holland-Style Adaptive Classifiers, Machine Learning 1991",
    source="https://archive.ics.uci.edu/dataset/59/letter+recognition",
    licence="CC BY 4.0",
    reader="sets.uci:letter",
    folders=("letter",),
    counts={"training rows": 16_000, "test rows": 4_000},
)
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
# In the words of letter-recognition.names: a letter, then 16 measures of its picture.
_LETTER_MEASURES = (
    *("x-box", "y-box", "width", "high", "onpix", "x-bar", "y-bar", "x2bar"),
    *("y2bar", "xybar", "x2ybr", "xy2br", "x-ege", "xegvy", "y-ege", "yegvx"),
)
_LETTER = {"letter": "str"} | dict.fromkeys(_LETTER_MEASURES, "int64")
_LETTER_FILE = "letter-recognition.data"


def adult(root: Path | None, *, group: str | None = None, encoding: dict[str, Any] | None = None) -> Dataset:
    """Read Adult with its published split: adult.data trains, adult.test tests, the label is income.

    Columns become features as `columns.fit_columns` says, decided on the training rows. Rows are named by their number,
    from 0, counted on from the training into the test rows.

    Args:
        root: the folder that holds `adult`, or that folder itself.
        group: a column that makes the groups and is no feature, such as "sex".
        encoding: the "encoding" of an earlier `Dataset.restore`: the rows are then read as that table was.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: the column is unknown, `root` is None, or a file is damaged.
    """
    folder, files = published_folder(ADULT, root), ("adult.data", "adult.test")
    need_files(ADULT, folder, files)
    parts = [_read(folder / file, _ADULT) for file in files]
    for file, part in zip(files, parts, strict=True):
        # Labels of the test rows end in a full stop.
        part["income"] = part["income"].str.removesuffix(".")
        _check_labels(part["income"], folder / file, ("<=50K", ">50K"))
    notes = count_notes({f"rows of {file}": len(part) for file, part in zip(files, parts, strict=True)}, ADULT.counts)
    frame = pd.concat(parts, ignore_index=True)
    stored = with_targets(encoding, frame, folder, label="income", group=group)
    train, test = torch.arange(len(frame)).split([len(part) for part in parts])
    return frame_table(frame, stored, {"train": train, "test": test}, name="adult", notes=notes)


def letter(root: Path | None, *, group: str | None = None, encoding: dict[str, Any] | None = None) -> Dataset:
    """Read Letter Recognition as `adult` reads Adult: its first 16,000 rows train, the other 4,000 test."""
    folder = published_folder(LETTER, root)
    need_files(LETTER, folder, [_LETTER_FILE])
    path = folder / _LETTER_FILE
    frame, rows = _read(path, _LETTER), sum(LETTER.counts.values())
    _check_labels(frame["letter"], path, tuple(string.ascii_uppercase))
    if len(frame) != rows:
        raise ValueError(f"{path} is damaged: it holds {len(frame):,} rows, the published file {rows:,}")
    stored = with_targets(encoding, frame, folder, label="letter", group=group)
    train, test = torch.arange(rows).split([*LETTER.counts.values()])
    return frame_table(frame, stored, {"train": train, "test": test}, name="letter")


def _read(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    with naming(path), warnings.catch_warnings():
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


def _check_labels(labels: pd.Series, path: Path, classes: tuple[str, ...]) -> None:
    unknown = labels[~labels.isin(classes)]
    if len(unknown):
        raise ValueError(
            f"{path} is damaged: row {unknown.index[0]} has the label {unknown.iloc[0]!r}, "
            f"expected {classes[0]}, ..., {classes[-1]}"
        )
