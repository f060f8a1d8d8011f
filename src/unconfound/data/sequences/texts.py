"""Texts as a data set: a column of a table, a field of JSON lines, or the lines of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Schema
from unconfound.data.core.subset import divided
from unconfound.data.files.damaged import check_text
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.sequences.vocabulary import SPECIAL, UNKNOWN, encode_tokens, fit_vocabulary, read_tokens
from unconfound.data.tables.columns import as_text
from unconfound.data.tables.table_files import read_frame
from unconfound.data.tables.targets import drawn_rows, present_targets, read_targets, with_targets

# Taken where no column is named.
_COLUMNS = ("text", "sentence")
_SURROGATE = re.compile("[\ud800-\udfff]")


def texts(
    path: Path,
    *,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    max_length: int = 256,
    encoding: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read texts from a table (as `table_files.read_frame` reads them), from JSON lines (.jsonl) or from lines (.txt).

    `vocabulary.tokenize` says what a token is; the vocabulary is fitted on the training texts. Rows whose text is
    missing or white space are skipped and counted in the notes, and so are empty lines. Labels and groups are those of
    `tables.table`. Texts are named by their row, from 0.

    Args:
        path: the file.
        text: the column or field of the text; None takes that of the encoding, else "text" or "sentence".
        label: that of the class; None where there is none.
        group: that of the group; None where there is none.
        test_share: the share of the texts of each class that test, in [0, 1).
        seed: of that split.
        max_length: tokens of a text that are read, at least 1.
        encoding: the "encoding" of an earlier `Dataset.restore`: the texts are then read by that vocabulary, with its
            label and group where those columns are there, and split by its classes; of `features_alone`, with a label,
            a group and classes of their own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file, column or line that cannot be learnt from; the message names it.
    """
    frame, notes = _read(path)
    if path.suffix.lower() == ".txt":
        text = text or "text"
    elif encoding is not None:
        text = text or str(encoding["text"])
    column = _text_column(frame, path, text, notes)
    if column in (label, group):
        raise ValueError(f"column {column!r} is both the text and the {'label' if column == label else 'group'}")
    frame = _with_text(frame, path, column, notes)
    stored = {"text": column, **with_targets(encoding, frame, path, label=label, group=group)}
    parts = drawn_rows(frame, stored, test_share=test_share, seed=seed)
    frame = frame.assign(**{stored["text"]: frame[column]})
    return frame_texts(frame, stored, parts, name=path.name, max_length=max_length, notes=notes)


def frame_texts(
    frame: pd.DataFrame,
    stored: Mapping[str, Any],
    parts: Mapping[str, Int[Tensor, " part"]],
    *,
    name: str,
    max_length: int,
    notes: Sequence[str] = (),
) -> Dataset:
    """Make a data set of texts in memory, split as stated.

    Args:
        frame: all texts, none of them empty, with their labels and groups; its index names them.
        stored: what `targets.fit_targets` found, "text", the column of the texts, and the "vocabulary" of an earlier
            data set; without one it is fitted on the training rows.
        parts: positions of the texts of "train" and "test".
        name: how logs and reports call it.
        max_length: tokens of a text that are read, at least 1.
        notes: what was noteworthy so far.

    Raises:
        ValueError: `max_length` is below 1.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    said, said_texts = [*notes], frame[stored["text"]].tolist()
    tokens, cut = read_tokens(said_texts, max_length=max_length)
    if cut:
        said.append(f"{cut:,} of {len(frame):,} texts have more than {max_length} tokens (--max-length): they are cut")
    if "vocabulary" not in stored:
        trained = np.zeros(len(frame), bool)
        trained[parts["train"].numpy()] = True
        stored = {**stored, "vocabulary": fit_vocabulary(tokens, trained)}
    vocabulary = stored["vocabulary"]
    values = encode_tokens(tokens, vocabulary)
    unknown = float(np.mean(values == UNKNOWN))
    said.append(f"vocabulary: {len(vocabulary):,} words; {unknown:.1%} of all tokens are none of them")
    targets = present_targets(frame, stored)
    labels, groups, group_names = read_targets(frame, targets, said)
    whole = SequenceSource(
        name,
        Schema("text", (len(vocabulary) + SPECIAL,), tuple(targets["classes"]), group_names),
        torch.from_numpy(values),
        torch.from_numpy(tokens.lengths),
        labels=labels,
        groups=groups,
        names=[str(row) for row in frame.index],
        texts=said_texts,
        notes=said,
    )
    restore = {"kind": "text", "max_length": max_length, "encoding": dict(stored)}
    return divided(whole, parts, restore=restore, notes=said)


def _read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    if path.suffix.lower() not in (".jsonl", ".txt"):
        return read_frame(path)
    if not path.is_file():
        raise FileNotFoundError(f"no texts at {path}")
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not written in UTF-8 ({error.reason} at byte {error.start}): save it so"
        ) from error
    check_text(path, content, advice="save it anew")
    lines = content.split("\n")
    # The last line ends the file.
    lines = lines[:-1] if not lines[-1] else lines
    if not any(line.strip() for line in lines):
        raise ValueError(f"{path} is empty: one text a line is needed")
    frame = _json_lines(path, lines) if path.suffix.lower() == ".jsonl" else pd.DataFrame({"text": lines})
    return frame, []


def _json_lines(path: Path, lines: list[str]) -> pd.DataFrame:
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number} is no JSON ({error.msg} at column {error.colno})") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or as many brackets
            raise ValueError(f"{path}, line {number} cannot be read ({error})") from error
        if "\\ud" in line.lower() and (half := _SURROGATE.search(json.dumps(record, ensure_ascii=False))):
            raise ValueError(
                f"{path}, line {number} holds half a character ({half[0]!r}): write the text in UTF-8 anew"
            )
        if not isinstance(record, dict):
            raise ValueError(f"{path}, line {number} holds a {type(record).__name__}: one object a line is needed")
        records.append(record)
    return pd.DataFrame(records)


def _text_column(frame: pd.DataFrame, path: Path, text: str | None, notes: list[str]) -> str:
    listed = ", ".join(map(str, frame.columns[:10])) + (", ..." if len(frame.columns) > 10 else "")
    if text is None:
        text = next((name for name in _COLUMNS if name in frame.columns), None)
        if text is None:
            raise ValueError(f"{path}: say which column holds the text (--text), one of {listed}")
        notes.append(f"the texts are those of the column {text!r}")
    if text not in frame.columns:
        raise ValueError(f"{path} has no text column {text!r}: its columns are {listed}")
    if pd.api.types.is_numeric_dtype(frame[text]) and not frame[text].isna().all():
        raise ValueError(f"{path}: the text column {text!r} holds numbers: give a column of texts")
    return text


def _with_text(frame: pd.DataFrame, path: Path, column: str, notes: list[str]) -> pd.DataFrame:
    """Write the texts as strings and leave out the rows that have none."""
    written = as_text(frame[column])
    present = np.array([text is not None and not text.isspace() and text != "" for text in written])
    missing = np.flatnonzero(~present)
    if len(missing) == len(frame):
        raise ValueError(f"{path}: all {len(frame):,} texts of the column {column!r} are empty")
    if len(missing):
        notes.append(
            f"{len(missing):,} of {len(frame):,} rows have an empty text and are skipped, the first is row {missing[0]}"
        )
    return frame.assign(**{column: written})[present]
