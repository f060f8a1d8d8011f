"""The public sets of texts by name, read from the files that others keep, without the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unconfound.data.core.source import Dataset
from unconfound.data.divide.splits import train_test_indices
from unconfound.data.sequences.texts import frame_texts
from unconfound.data.sets.torchvision_sets import folder_inside, need_files
from unconfound.suggestions import nearest_name

_AG_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_TREC = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
_SST2 = ("negative", "positive")

_Parts = tuple[pd.DataFrame, pd.DataFrame | None, list[str]]


def named_text(
    name: str,
    root: Path | None,
    *,
    test_share: float = 0.2,
    seed: int = 0,
    max_length: int = 256,
    encoding: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read a public set of texts with its official split.

    Args:
        name: "ag-news" (title and description; where only one of `train.csv` and `test.csv` is there, it is split),
            "trec" (questions by their coarse class) or "sst2" (sentences; the dev part is left out).
        root: the folder that holds `AG_NEWS`, `TREC` or `SST2`, or that folder itself.
        test_share, seed: of AG News where one of its files is missing; the other splits are official.
        max_length: tokens of a text that are read, at least 1.
        encoding: the "encoding" of an earlier `Dataset.restore`: the texts are then read by that vocabulary.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: the name is unknown, `root` is None, or a line is damaged.
    """
    if name not in _READERS:
        raise ValueError(f"{name!r} is no public set of texts: {nearest_name(name, _READERS)}")
    if root is None:
        raise ValueError(f"{name} is read from files: say which folder holds them (--data-root)")
    read, inside, classes = _READERS[name]
    train, test, notes = read(name, folder_inside(root, inside))
    frame = pd.concat([train, test], ignore_index=True)
    if test is None:
        labels = torch.tensor([classes.index(label) for label in frame["class"]])
        train_rows, test_rows = train_test_indices(len(frame), labels, test_share, seed)
    else:
        train_rows, test_rows = torch.arange(len(frame)).split([len(train), len(test)])
    targets = {"text": "text", "label": "class", "classes": list(classes), "group": None, "attributes": []}
    # The encoder may come from a table whose column of texts had another name.
    stored = targets if encoding is None else {**encoding, "text": "text"}
    return frame_texts(
        frame,
        stored,
        name=name,
        train_rows=train_rows,
        test_rows=test_rows,
        max_length=max_length,
        notes=notes,
    )


def _ag_news(name: str, folder: Path) -> _Parts:
    files = [file for file in ("train.csv", "test.csv") if (folder / file).is_file()]
    need_files(name, folder, files or ["train.csv", "test.csv"])
    parts = [_ag_news_file(folder / file) for file in files]
    if len(parts) == 2:
        return parts[0], parts[1], []
    missing = "train.csv" if files == ["test.csv"] else "test.csv"
    note = f"{missing} is not there: the {len(parts[0]):,} texts of {files[0]} are split for training and test"
    return parts[0], None, [note]


def _ag_news_file(path: Path) -> pd.DataFrame:
    try:
        read = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    if read.shape[1] != 3 or not set(read[0]) <= {"1", "2", "3", "4"}:
        raise ValueError(f"{path} is damaged: a line is class (1 to 4), title, description")
    # A backslash stands for the end of a line.
    text = (read[1] + " " + read[2]).str.replace("\\", " ", regex=False)
    return pd.DataFrame({"text": text, "class": [_AG_NEWS[int(number) - 1] for number in read[0]]})


def _trec(name: str, folder: Path) -> _Parts:
    files = ["train_5500.label", "TREC_10.label"]
    need_files(name, folder, files)
    train, test = (_labelled_lines(folder / file, {each: each for each in _TREC}, "latin-1", ":") for file in files)
    return train, test, []


def _sst2(name: str, folder: Path) -> _Parts:
    files = ["stsa.binary.train", "stsa.binary.test"]
    need_files(name, folder, files)
    label_of = {str(number): label for number, label in enumerate(_SST2)}
    train, test = (_labelled_lines(folder / file, label_of, "utf-8", " ") for file in files)
    return train, test, ["the dev part is left out"]


def _labelled_lines(path: Path, label_of: Mapping[str, str], encoding: str, separator: str) -> pd.DataFrame:
    """Read lines of a label, a separator, for TREC the fine class, a space, and a text."""
    rows = []
    try:
        lines = path.read_text(encoding=encoding).split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, _, rest = line.partition(separator)
        text = rest if separator == " " else rest.partition(" ")[2]
        if label not in label_of or not text.strip():
            raise ValueError(f"{path} is damaged: line {number} is no label of {', '.join(label_of)} with a text")
        rows.append((text.strip(), label_of[label]))
    if not rows:
        raise ValueError(f"{path} is damaged: it is empty")
    return pd.DataFrame(rows, columns=["text", "class"])


_READERS: dict[str, tuple[Callable[[str, Path], _Parts], str, tuple[str, ...]]] = {
    "ag-news": (_ag_news, "AG_NEWS", _AG_NEWS),
    "trec": (_trec, "TREC", _TREC),
    "sst2": (_sst2, "SST2", _SST2),
}
