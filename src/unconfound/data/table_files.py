"""A table file as a pandas frame, with every doubt about it raised."""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from collections import Counter
from pathlib import Path

import pandas as pd

_CSV = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_DELIMITERS = (",", ";", "\t", "|")


def read_frame(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file with a header (plain or gzipped, any of four delimiters) or a Parquet file.

    Missing are empty cells, what pandas takes for missing (NA, NaN, null, ...) and "?", as the UCI tables write it.

    Returns:
        The table with text as names, rows numbered from 0, and notes for the run's log.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, no rows, a damaged file, or two columns of one name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind.lower() not in (*_CSV, *_PARQUET) or (path.suffix == ".gz" and kind.lower() in _PARQUET):
        raise ValueError(f"{path} is no table: expected {', '.join((*_CSV, '.csv.gz', *_PARQUET))}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty: a table needs a header and rows")
    try:
        frame = _read_csv(path) if kind.lower() in _CSV else _read_parquet(path)
    except (ValueError, OSError, EOFError, zlib.error, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error
    twice = [name for name, times in Counter(frame.columns).items() if times > 1]
    if twice:
        raise ValueError(f"{path} has more than one column named {twice[0]!r}: names must differ")
    if frame.empty:
        raise ValueError(f"{path} has {len(frame)} rows and {len(frame.columns)} columns: nothing to learn from")
    # What pandas writes as the row index has no name; a row's number says where it stood, not what it is.
    nameless = [name for name in frame.columns if not name.strip() or name == "__index_level_0__"]
    notes = [f"column {name!r} is left out: without a name, it is taken for row numbers" for name in nameless]
    return frame.drop(columns=nameless), notes


def _read_csv(path: Path) -> pd.DataFrame:
    # A byte-order mark, as spreadsheets write it, is no part of the first name.
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        header = re.sub(r'"[^"]*"', "", file.readline())
    delimiter = max(_DELIMITERS, key=header.count)
    # pandas renames doubled columns and shifts rows that are longer than the header: both are mistakes to be told.
    names = pd.read_csv(
        path, sep=delimiter, header=None, nrows=1, dtype=str, skipinitialspace=True, encoding="utf-8-sig"
    ).iloc[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path,
            sep=delimiter,
            skipinitialspace=True,
            na_values=["?"],
            index_col=False,
            low_memory=False,
            encoding="utf-8-sig",
        )
    frame.columns = pd.Index(["" if pd.isna(name) else str(name).strip() for name in names])
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    # pyarrow's own errors on damaged files are ValueErrors and OSErrors.
    frame = pd.read_parquet(path)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return frame.reset_index(drop=True)
