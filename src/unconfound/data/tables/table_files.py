"""A table file as a pandas frame, with every doubt about it raised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64
from numpy import ndarray

from unconfound.data.files.damaged import naming
from unconfound.data.tables.csv_files import read_csv
from unconfound.data.tables.parquet_files import read_parquet
from unconfound.data.tables.written_numbers import plain_column, truth_column

_CSV = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
# What pandas calls the column of an index that had no name, once it was written and read, twice, ...
_NAMELESS = re.compile(r"\s*|Unnamed: \d+(\.\d+)*|__index_level_\d+__")
_INDEX = re.compile(r"index|level_\d+")
# Frames that are joined have so many rows on average, or else what counts in them may be a code.
_JOINED = 10


@dataclass(frozen=True, eq=False)
class TableFile:
    """What a file holds.

    Args:
        frame: text as names, rows numbered from 0.
        delimiter: of a CSV file, whose cells are text as they are written, for it says no more of them; None: they
            have types.
        notes: for the run's log.
    """

    frame: pd.DataFrame
    delimiter: str | None
    notes: list[str] = field(default_factory=list)


def read_frame(path: Path, *, expected: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Read a table file as `read_table_file` does, with columns of plain numbers as numbers.

    Returns:
        The table, and notes for the run's log.
    """
    file = read_table_file(path, expected=expected)
    return file.frame.apply(plain_column) if file.delimiter is not None else file.frame, file.notes


def read_table_file(path: Path, *, expected: Collection[str] = ()) -> TableFile:
    """Read a CSV file with a header (see `csv_files.read_csv`) or a Parquet file (see `parquet_files.read_parquet`).

    Missing are empty cells and "?", as the UCI tables write it. Row numbers are left out.

    In text, truth is "True" or "False", see `written_numbers.truth_column`.

    Args:
        path: the file.
        expected: names of columns by which a header is known.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, no rows, a damaged file, or two columns of one name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    written = kind.lower() in _CSV
    if kind.lower() not in (*_CSV, *_PARQUET) or (path.suffix == ".gz" and not written):
        raise ValueError(f"{path} is no table: expected {', '.join((*_CSV, '.csv.gz', *_PARQUET))}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty: a table needs a header and rows")
    with naming(path, fault="cannot be read as a table"):
        frame, notes, delimiter = read_csv(path, expected) if written else (*read_parquet(path), None)
    frame, said = _without_row_numbers(frame)
    twice = [name for name, times in Counter(frame.columns).items() if times > 1]
    if twice:
        raise ValueError(f"{path} has more than one column named {twice[0]!r}: names must differ")
    if frame.empty:
        raise ValueError(f"{path} has {len(frame)} rows and {len(frame.columns)} columns: nothing to learn from")
    return TableFile(frame.apply(truth_column) if written else frame, delimiter, [*notes, *said])


def _without_row_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out what pandas writes as the row index: a row's number says where it stood, not what it is.

    Other columns without a name are kept: an index may name files. They are called as pandas would call them.
    """
    kept, notes = {}, []
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        nameless = _NAMELESS.fullmatch(name) is not None
        if nameless and column.isna().all():
            notes.append(f"column {name!r} is left out: it is empty")
        elif nameless and _numbers_rows(column):
            notes.append(f"column {name!r} is left out: without a name, it is taken for row numbers")
        elif _INDEX.fullmatch(name) and _counts(column):
            notes.append(f"column {name!r} is left out: it counts the rows")
        elif not name.strip():
            kept[place] = f"Unnamed: {place}"
            notes.append(f"column {place + 1} has no name and is called {kept[place]!r}")
        else:
            kept[place] = name
    frame = frame.iloc[:, list(kept)]
    frame.columns = pd.Index(list(kept.values()))
    return frame, notes


def _numbers_rows(column: pd.Series) -> bool:
    """Whether a column holds whole numbers that differ in all rows, or that count and start anew.

    An index starts anew where several frames were joined; codes such as 0, 1, 0, 1 do so all the time.
    """
    numbers = _whole(column)
    if np.isnan(numbers).any():
        return False
    anew = np.flatnonzero(np.diff(numbers) != 1) + 1
    joined = bool((numbers[anew] == numbers[0]).all()) and (len(anew) + 1) * _JOINED <= len(numbers)
    return joined or len(np.unique(numbers)) == len(numbers)


def _counts(column: pd.Series) -> bool:
    numbers = _whole(column)
    return len(numbers) > 0 and numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())


def _whole(column: pd.Series) -> Float64[ndarray, " rows"]:
    """The whole numbers in a column, NaN where there is none: of text, for of dates pandas makes numbers, too."""
    numbers = pd.to_numeric(column.map(str), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(numbers % 1 == 0, numbers, np.nan)
