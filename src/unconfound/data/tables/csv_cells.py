"""The cells of a CSV file as text, read by pyarrow where it reads them as pandas does: pandas is far slower."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

_MISSING = ("", "?")
_DELIMITERS = (",", ";", "\t", "|")


def read_cells(data: bytes, delimiter: str) -> tuple[list[str], pd.DataFrame]:
    """Split text in UTF-8 into rows and cells, as `pandas.read_csv` does.

    White space before a cell is left out, and so are blank lines. Short rows are filled up.

    Returns:
        The cells of the first row, "" where they are empty; those of the other rows, missing where they are empty or
        "?".

    Raises:
        ValueError: a row has more cells than the first, a quotation mark is never closed, or there is no row at all.
        pandas.errors.ParserWarning: all rows have more cells than the first.
    """
    how: dict[str, Any] = {
        "sep": delimiter,
        "dtype": str,
        "skipinitialspace": True,
        "keep_default_na": False,
        "na_values": list(_MISSING),
    }
    # pandas renames doubled columns and shifts rows that are longer than the header: both are mistakes to be told.
    names = pd.read_csv(io.BytesIO(data), header=None, nrows=1, **how).iloc[0].fillna("").str.strip().tolist()
    frame = _read_quickly(data, delimiter, len(names))
    if frame is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(io.BytesIO(data), index_col=False, **how)
    frame.columns = pd.Index(names)
    return names, frame


def _read_quickly(data: bytes, delimiter: str, columns: int) -> pd.DataFrame | None:
    """The rows after the first; None where pyarrow refuses them, or may read them otherwise than pandas."""
    quoted, spaced = b'"' in data, b" " in data
    # A line of white space is blank to pandas, and one cell to pyarrow, which a single column would not show.
    if columns < 2 or delimiter not in _DELIMITERS or (quoted and spaced and _quotes_beside_spaces(data, delimiter)):
        return None
    # Where "\r" alone ends some of the lines, pandas may lose the last one.
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None
    if quoted and not data.endswith(b"\n"):
        data += b"\n"
    names = [str(place) for place in range(columns)]
    try:
        table = csv.read_csv(
            pa.py_buffer(data),
            csv.ReadOptions(column_names=names),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=quoted),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=_MISSING,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    # To pyarrow, a quotation mark that is never closed is closed by the end of the file.
    if quoted and (table[-1][-1].as_py() or "").endswith("\n"):
        return None
    if spaced:
        table = pa.table([_without_initial_spaces(cells) for cells in table.columns], names)
    frame: pd.DataFrame = table.slice(1).to_pandas()
    return frame


def _quotes_beside_spaces(data: bytes, delimiter: str) -> bool:
    """Whether a cell may begin with spaces and a quotation mark, or the other way round.

    Spaces before the mark are left out, so that the cell is a quoted one; spaces after it, or after two, are kept.
    """
    starts = (b' "', b'" ', b'"" ')
    before = (b"\n", delimiter.encode())
    return data.startswith(starts) or b'  "' in data or any(mark + start in data for mark in before for start in starts)


def _without_initial_spaces(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.ascii_ltrim(cells, " ")
    missing = pc.is_in(trimmed, pa.array(_MISSING, cells.type))
    return pc.if_else(missing, pa.scalar(None, cells.type), trimmed)
