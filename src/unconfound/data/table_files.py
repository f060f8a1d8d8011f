"""A table file as a pandas frame, with every doubt about it raised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from unconfound.data.csv_files import read_csv
from unconfound.data.parquet_files import read_parquet
from unconfound.data.written_numbers import plain_column, truth_column

_CSV = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
# What pandas calls the column of an index that had no name, once it was written and read, twice, ...
_NAMELESS = re.compile(r"\s*|Unnamed: \d+(\.\d+)*|__index_level_\d+__")
_INDEX = re.compile(r"index|level_\d+")


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
    try:
        frame, notes, delimiter = read_csv(path, expected) if written else (*read_parquet(path), None)
    # Damaged files make pandas and pyarrow fail in any way.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error
    frame, said = _without_row_numbers(frame)
    twice = [name for name, times in Counter(frame.columns).items() if times > 1]
    if twice:
        raise ValueError(f"{path} has more than one column named {twice[0]!r}: names must differ")
    if frame.empty:
        raise ValueError(f"{path} has {len(frame)} rows and {len(frame.columns)} columns: nothing to learn from")
    return TableFile(frame.apply(truth_column) if written else frame, delimiter, [*notes, *said])


def _without_row_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out what pandas writes as the row index: a row's number says where it stood, not what it is."""
    kept, notes = [], []
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if _NAMELESS.fullmatch(name):
            what = "it is empty" if column.isna().all() else "without a name, it is taken for row numbers"
        elif _INDEX.fullmatch(name) and _counts(column):
            what = "it counts the rows"
        else:
            kept.append(place)
            continue
        notes.append(f"column {name!r} is left out: {what}")
    return frame.iloc[:, kept], notes


def _counts(column: pd.Series) -> bool:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all()) if len(numbers) else False
