"""Public sets of texts, read from the files that others keep, without the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.sequences.texts import frame_texts
from unconfound.data.tables.targets import drawn_rows
from unconfound.options.data_sets import PublicSet

AG_NEWS = PublicSet(
    name="ag-news",
    modality="sequences",
    about="text: AG News, title and description in four classes",
    paper="Zhang, Zhao and LeCun, Character-level Convolutional Networks for Text Classification, NIPS 2015",
    source="http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
    licence="research and other non-commercial use",
    reader="sets.text_sets:ag_news",
    folders=("AG_NEWS",),
    counts={"training texts": 120_000, "test texts": 7_600},
)
TREC = PublicSet(
    name="trec",
    modality="sequences",
    about="text: TREC questions in six coarse classes",
    paper="Li and Roth, Learning Question Classifiers, COLING 2002",
    source="https://cogcomp.seas.upenn.edu/Data/QA/QC/",
    reader="sets.text_sets:trec",
    folders=("TREC",),
    counts={"training texts": 5_452, "test texts": 500},
)
SST2 = PublicSet(
    name="sst2",
    modality="sequences",
    about="text: SST-2, sentences of film reviews, negative or positive",
    paper="Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank, EMNLP 2013",
    source="https://nlp.stanford.edu/sentiment/",
    reader="sets.text_sets:sst2",
    folders=("SST2",),
    counts={"training texts": 6_920, "test texts": 1_821},
)
_AG_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_TREC = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
_SST2 = ("negative", "positive")


def ag_news(
    root: Path | None,
    *,
    test_share: float = 0.2,
    seed: int = 0,
    max_length: int = 256,
    encoding: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read AG News with its official split; where only one of `train.csv` and `test.csv` is there, it is split.

    Args:
        root: the folder that holds `AG_NEWS`, or that folder itself.
        test_share: share of each class to test on where a file is missing, in [0, 1).
        seed: of that split.
        max_length: tokens of a text that are read, at least 1.
        encoding: the "encoding" of an earlier `Dataset.restore`: the texts are then read by that vocabulary.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: `root` is None, or a line is damaged.
    """
    folder, names = published_folder(AG_NEWS, root), ("train.csv", "test.csv")
    files = [file for file in names if (folder / file).is_file()]
    need_files(AG_NEWS, folder, files or names)
    parts = [_ag_news_file(folder / file) for file in files]
    notes = []
    if len(parts) == 1:
        missing = "train.csv" if files == ["test.csv"] else "test.csv"
        notes = [f"{missing} is not there: the {len(parts[0]):,} texts of {files[0]} are split for training and test"]
    split: dict[str, Any] = {"test_share": test_share, "seed": seed}
    return _dataset(AG_NEWS, parts, _AG_NEWS, max_length=max_length, encoding=encoding, notes=notes, **split)


def trec(root: Path | None, *, max_length: int = 256, encoding: Mapping[str, Any] | None = None) -> Dataset:
    """Read the questions of `TREC` by their coarse class, with their official split; otherwise as `ag_news`."""
    folder, files = published_folder(TREC, root), ("train_5500.label", "TREC_10.label")
    need_files(TREC, folder, files)
    parts = [_labelled_lines(folder / file, {each: each for each in _TREC}, "latin-1", ":") for file in files]
    return _dataset(TREC, parts, _TREC, max_length=max_length, encoding=encoding)


def sst2(root: Path | None, *, max_length: int = 256, encoding: Mapping[str, Any] | None = None) -> Dataset:
    """Read the sentences of `SST2`, without its dev part, with their official split; otherwise as `ag_news`."""
    folder, files = published_folder(SST2, root), ("stsa.binary.train", "stsa.binary.test")
    need_files(SST2, folder, files)
    label_of = {str(number): label for number, label in enumerate(_SST2)}
    parts = [_labelled_lines(folder / file, label_of, "utf-8", " ") for file in files]
    notes = ["the dev part is left out"]
    return _dataset(SST2, parts, _SST2, max_length=max_length, encoding=encoding, notes=notes)


def _dataset(
    known: PublicSet,
    parts: Sequence[pd.DataFrame],
    classes: Sequence[str],
    *,
    max_length: int,
    encoding: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
    **split: Any,
) -> Dataset:
    """Put files together: the texts of the first train, those of the second test; those of one alone are split."""
    frame = pd.concat(parts, ignore_index=True)
    targets = {"text": "text", "label": "class", "classes": list(classes), "group": None, "attributes": []}
    if len(parts) == 1:
        rows = drawn_rows(frame, targets, **split)
    else:
        rows = dict(zip(("train", "test"), torch.arange(len(frame)).split([*map(len, parts)]), strict=True))
    # The encoder may come from a table whose column of texts had another name.
    stored = {**targets, **(encoding or {}), "text": "text"}
    return frame_texts(frame, stored, rows, name=known.name, max_length=max_length, notes=notes)


def _ag_news_file(path: Path) -> pd.DataFrame:
    with naming(path):
        read = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    if read.shape[1] != 3 or not set(read[0]) <= {"1", "2", "3", "4"}:
        raise ValueError(f"{path} is damaged: a line is class (1 to 4), title, description")
    # A backslash stands for the end of a line.
    text = (read[1] + " " + read[2]).str.replace("\\", " ", regex=False)
    return pd.DataFrame({"text": text, "class": [_AG_NEWS[int(number) - 1] for number in read[0]]})


def _labelled_lines(path: Path, label_of: Mapping[str, str], encoding: str, separator: str) -> pd.DataFrame:
    """Read lines of a label, a separator, for TREC the fine class, a space, and a text."""
    rows = []
    with naming(path):
        lines = path.read_text(encoding=encoding).split("\n")
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
