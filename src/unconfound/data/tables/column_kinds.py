"""What a column of a table holds: numbers, times, or neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64
from numpy import ndarray

from unconfound.data.tables.written_numbers import (
    PLAIN,
    NumberForm,
    begins_with_zero,
    find_form,
    holds_point,
    known_cells,
    plain_numbers,
    read_numbers,
    text_cells,
)

# A column is one of numbers, or of times, where this share of its known cells are: the others count as missing.
SHARE = 0.9
# Year-month-day, without the day or with a time: digits alone may be any code.
_TIME = r"^\d{4}[-/]\d{1,2}(?:[-/]\d{1,2}(?:[T ].*)?)?$"
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, eq=False)
class Scale:
    """A column as numbers.

    Args:
        kind: "number" or "time", which is in seconds since 1970.
        numbers: NaN where there is none.
        strays: cells that hold something else.
        form: how the numbers are written; None where they are no text.
    """

    kind: str
    numbers: Float64[ndarray, " rows"]
    strays: Bool[ndarray, " rows"]
    form: NumberForm | None = None

    @property
    def share(self) -> float:
        """Numbers among the cells that are not missing; 0 where all are missing."""
        found = int((~np.isnan(self.numbers)).sum())
        return found / (found + int(self.strays.sum())) if found else 0.0


def find_scale(column: pd.Series, *, written: bool = False, decimal: str = ".") -> tuple[Scale | None, str | None]:
    """Find out whether a column holds numbers or times, and what is to be said where it nearly does.

    Text is read as numbers where they bear marks that no code has (thousands, per cent, currency, decimal comma), and,
    in a file that is all text, where they do not. Where cells of digits begin with a zero, all are codes, unless such
    cells are rare and digits have several lengths.

    Args:
        column: its cells.
        written: they come from a file that is all text.
        decimal: the decimal mark of that file.

    Returns:
        the numbers, or None, and a note, or None.

    Raises:
        ValueError: complex numbers.
    """
    typed = _typed(column)
    if typed is not None:
        return typed, None
    texts, mixed = _texts(column)
    if texts is None:
        return None, None
    cells = text_cells(texts)
    codes, note = _codes(cells, column.name)
    # Where a comma is the decimal mark, a point may stand between thousands.
    plain = (written or mixed) and not (codes or (decimal == "," and holds_point(cells)))
    numbers = plain_numbers(cells) if plain else None
    if numbers is not None and not np.isnan(numbers).all():
        return Scale("number", numbers, np.zeros(len(cells), bool), PLAIN), note
    times = _times(cells)
    if times.share >= SHARE:
        return times, None
    distinct = pc.unique(cells)
    known = pc.filter(distinct, pa.array(known_cells(distinct)))
    if not len(known) or codes:
        return None, note
    form = find_form(known, decimal=decimal)
    scale = _numbers(cells, form)
    if scale.share >= SHARE and (written or mixed or form != PLAIN):
        return scale, note
    if scale.share < 0.5:
        return None, None
    words = column[scale.strays]
    found = f"numbers and words such as {words.iloc[0]!r}" if len(words) else "digits as text"
    return None, f"column {column.name!r} holds {found}: each of its {len(known):,} values is a category, no number"


def read_scale(column: pd.Series, fitted: Mapping[str, Any]) -> Scale | None:
    """Read a column of new rows as a stored one; None where it is of another kind."""
    form = NumberForm(**fitted.get("form", {}))
    typed = _typed(column)
    if typed is not None:
        return typed if typed.kind == fitted["kind"] and form.unit != "%" else None
    texts, _ = _texts(column)
    if texts is None:
        return None
    cells = text_cells(texts)
    if fitted["kind"] == "time":
        return _times(cells)
    numbers = plain_numbers(cells) if form == PLAIN else None
    return _numbers(cells, form) if numbers is None else Scale("number", numbers, np.zeros(len(cells), bool), PLAIN)


def stored_form(scale: Scale) -> dict[str, Any]:
    """What `read_scale` needs beside the kind, as a JSON object."""
    return {} if scale.form in (None, PLAIN) else {"form": asdict(scale.form)}


def _codes(cells: pa.Array, name: object) -> tuple[bool, str | None]:
    """Whether cells of digits are codes, as postal codes are, and what is to be said of zeros at their beginning."""
    zeros = begins_with_zero(cells)
    if not zeros.any():
        return False, None
    first = cells[int(zeros.argmax())].as_py()
    lengths = pc.unique(pc.utf8_length(pc.filter(cells, pc.match_substring_regex(cells, r"^\d+$"))))
    if len(lengths) > 1 and zeros.sum() <= (1 - SHARE) * known_cells(cells).sum():
        return False, f"column {name!r} is read as numbers: of {first!r}, which begins with a zero, too"
    return True, f"column {name!r} holds digits that begin with a zero, such as {first!r}: codes, each is a category"


def _typed(column: pd.Series) -> Scale | None:
    """Numbers, decimals, durations, dates and times; None where the column holds anything else."""
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(f"column {column.name!r} holds complex numbers: split it into two columns")
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column):
        return None
    none = np.zeros(len(column), bool)
    if pd.api.types.is_timedelta64_dtype(column):
        return Scale("number", pd.to_timedelta(column).dt.total_seconds().to_numpy(np.float64), none)
    if pd.api.types.is_numeric_dtype(column):
        return Scale("number", column.astype("float64").to_numpy(np.float64), none)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("decimal", "integer", "floating", "mixed-integer-float"):
        return Scale("number", column.astype("float64").to_numpy(np.float64), none)
    if kind in ("date", "datetime", "datetime64"):
        return Scale("time", _seconds(pd.to_datetime(column, utc=True)), none)
    return None


def _texts(column: pd.Series) -> tuple[pd.Series | None, bool]:
    """The cells as text, None where they are neither text nor numbers, and whether some are numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return None, False
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("string", "empty"):
        return column, False
    plain = column.dtype == object and column.dropna().map(type).isin((str, int, float)).all()
    return (column.map(str, na_action="ignore"), True) if plain else (None, False)


def _numbers(cells: pa.Array, form: NumberForm) -> Scale:
    return _scale("number", cells, lambda distinct: read_numbers(distinct, form), form)


def _times(cells: pa.Array) -> Scale:
    return _scale("time", cells, _moments)


def _scale(
    kind: str,
    cells: pa.Array,
    read: Callable[[pa.Array], Float64[ndarray, " distinct"]],
    form: NumberForm | None = None,
) -> Scale:
    """Read each distinct cell once."""
    encoded = cells.dictionary_encode()
    rows = encoded.indices.fill_null(-1).to_numpy()
    # The last one stands for a missing cell.
    numbers = np.append(read(encoded.dictionary), np.nan)
    known = np.append(known_cells(encoded.dictionary), False)
    return Scale(kind, numbers[rows], (known & np.isnan(numbers))[rows], form)


def _moments(cells: pa.Array) -> Float64[ndarray, " rows"]:
    dates = pc.match_substring_regex(cells, _TIME).to_numpy(zero_copy_only=False)
    numbers = np.full(len(cells), np.nan)
    if dates.any():
        # Beyond microseconds, pandas counts in nanoseconds and reaches from 1678 to 2262 only.
        texts = pc.replace_substring_regex(pc.filter(cells, pa.array(dates)), r"(\.\d{6})\d+", r"\1").to_pandas()
        numbers[dates] = _seconds(pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce"))
    return numbers


def _seconds(moments: pd.Series) -> Float64[ndarray, " rows"]:
    """Seconds since 1970 in whatever unit pandas keeps them, which need not be nanoseconds."""
    ticks = moments.dt.tz_localize(None).to_numpy()
    seconds = ticks.astype(np.int64) / _PER_SECOND[np.datetime_data(ticks.dtype)[0]]
    return np.where(np.isnat(ticks), np.nan, seconds)
