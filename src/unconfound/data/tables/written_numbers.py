"""Numbers as people write them: with thousands marks, decimal commas, per cent signs and currencies."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64
from numpy import ndarray

# In a column of numbers or dates these words say that a cell is missing.
MISSING_WORDS = frozenset(
    ("", "?", "-", "--", ".", "#n/a", "#na", "n/a", "na", "<na>", "nan", "-nan", "nat", "none", "null")
)
_TRUTH = frozenset(("true", "false"))
_CURRENCY = r"(?:[A-Z]{0,3}\$|[€£¥₹₩₽₺₫₴₪฿]|USD|EUR|GBP|JPY|CNY|CHF|INR|CAD|AUD|BRL|SEK|NOK|DKK|PLN|CZK|HUF|KRW|ZAR|kr)"
_UNIT = re.compile(rf"^[+-]?({_CURRENCY}) ?[+-]?[\d.,]|\d[.,]? ?({_CURRENCY}|%)$")
_DISTINCT = 1000
_FEW = 100


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a column are written.

    Args:
        decimal: the decimal mark, "." or ",".
        thousands: what may stand between groups of three digits, or "".
        unit: "%", which then follows each number but 0, or a currency, which may stand before or behind; or "".
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def __str__(self) -> str:
        said = [f"{self.decimal} is the decimal mark"]
        if self.thousands:
            said.append(f"{'a space' if self.thousands == ' ' else self.thousands} stands between thousands")
        if self.unit:
            said.append(f"{self.unit} is dropped")
        return ", ".join(said)

    @property
    def pattern(self) -> str:
        """The regular expression of a whole cell, without the rim of white space."""
        decimal, unit = re.escape(self.decimal), re.escape(self.unit)
        whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+)" if self.thousands else r"\d+"
        number = rf"(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
        if self.unit == "%":
            # Of nothing, a hundredth is nothing: 0 needs no sign.
            return rf"^(?:[+-]?{number} ?%|0(?:{decimal}0+)?)$"
        if self.unit:
            return rf"^(?:[+-]?(?:{unit} ?)?|{unit} ?[+-]){number}(?: ?{unit})?$"
        return rf"^[+-]?(?:{number}|(?i:inf|infinity))$"


PLAIN = NumberForm()
_MARKS = ((".", ""), (".", ","), (".", " "), (".", "'"), (",", ""), (",", "."), (",", " "), (",", "'"))


def text_cells(texts: pd.Series) -> pa.Array:
    """Text as Arrow has it, without white space around it, with one kind of space, minus and apostrophe."""
    cells = pc.utf8_trim_whitespace(_arrow_text(texts))
    if not pc.all(pc.string_is_ascii(cells)).as_py():
        for odd, usual in (("[\u00a0\u2009\u202f]", " "), ("\u2212", "-"), ("\u2019", "'")):
            cells = pc.replace_substring_regex(cells, odd, usual)
    return cells


def _arrow_text(texts: pd.Series) -> pa.Array:
    """Text as Arrow has it."""
    cells = pa.array(texts, pa.large_string(), from_pandas=True)
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def read_numbers(cells: pa.Array, form: NumberForm) -> Float64[ndarray, " rows"]:
    """The number in each cell, NaN where there is none in this form."""
    fits = pc.fill_null(pc.match_substring_regex(cells, form.pattern), False)
    bare = pc.filter(cells, fits)
    for mark in (form.unit, form.thousands, " "):
        bare = pc.replace_substring(bare, mark, "") if mark else bare
    bare = pc.replace_substring(bare, ",", ".") if form.decimal == "," else bare
    numbers = np.full(len(cells), np.nan)
    # Arrow reads no plus sign; that of an exponent may go as well.
    numbers[fits.to_numpy(zero_copy_only=False)] = _cast(pc.replace_substring(bare, "+", ""))
    return numbers


def plain_numbers(cells: pa.Array) -> Float64[ndarray, " rows"] | None:
    """The number in each cell, NaN where it is missing; None where a cell holds anything else."""
    try:
        # Arrow goes on after the first cell that is none, and is slow then: of most columns a few cells tell.
        _cast(cells[:_FEW])
        return _cast(cells)
    except pa.ArrowInvalid:
        return None


def _cast(cells: pa.Array) -> Float64[ndarray, " rows"]:
    return np.asarray(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def known_cells(cells: pa.Array) -> Bool[ndarray, " rows"]:
    """Which cells hold more than nothing or a word for nothing, see `MISSING_WORDS`."""
    missing = pc.is_in(pc.utf8_lower(cells), pa.array([*sorted(MISSING_WORDS), None], cells.type))
    return ~np.asarray(missing.to_numpy(zero_copy_only=False), bool)


def begins_with_zero(cells: pa.Array) -> Bool[ndarray, " rows"]:
    """Which cells are digits that begin with a zero, as those of postal codes may and those of numbers do not."""
    zeros = pc.and_(pc.starts_with(cells, "0"), pc.ascii_is_decimal(cells))
    codes = pc.and_(zeros, pc.greater(pc.binary_length(cells), 1))
    return np.asarray(pc.fill_null(codes, False).to_numpy(zero_copy_only=False), bool)


def holds_point(cells: pa.Array) -> bool:
    """Whether any cell has a point."""
    return bool(pc.any(pc.match_substring(cells, ".")).as_py())


def plain_column(texts: pd.Series) -> pd.Series:
    """A column of text as numbers where all its known cells are plain ones; as it is, where any is not.

    Whole numbers stay exact, beside missing cells, too. Where a cell of digits begins with a zero, all are codes.
    """
    # Most columns that are none are known by their first cells.
    if len(texts) > _FEW and _plain_cells(texts.iloc[:_FEW])[1] is None:
        return texts
    found, numbers, known = _plain_cells(texts)
    if not known.any() or numbers is None or begins_with_zero(found).any():
        return texts
    # Where any has a fraction, they need not be looked at one by one.
    if (numbers == np.trunc(numbers)).all() and pc.all(pc.match_substring_regex(found, r"^-?\d+$")).as_py():
        try:
            numbers = pc.cast(found, pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            # Beyond 64 bits, only text keeps all digits.
            return texts
    if known.all():
        return pd.Series(numbers, index=texts.index, name=texts.name)
    column = pd.Series(pd.NA, index=texts.index, name=texts.name, dtype=numbers.dtype.name.capitalize())
    column[known] = numbers
    return column if numbers.dtype.kind == "i" else column.astype("float64")


def _plain_cells(texts: pd.Series) -> tuple[pa.Array, Float64[ndarray, " known"] | None, Bool[ndarray, " rows"]]:
    """The known cells; their numbers, None where any holds something else; and which cells are known."""
    cells = _arrow_text(texts)
    present = np.asarray(cells.is_valid().to_numpy(zero_copy_only=False), bool)
    numbers = plain_numbers(cells)
    # What is a number as it stands needs no trimming, and holds no word for nothing but NaN.
    if numbers is not None and not np.isnan(numbers[present]).any():
        return cells.drop_null(), numbers[present], present
    cells = text_cells(texts)
    known = known_cells(cells)
    found = pc.filter(cells, pa.array(known))
    return found, plain_numbers(found), known


def truth_column(texts: pd.Series) -> pd.Series:
    """A column of text whose known cells are all true or false, in any case, as "True" and "False", as Python has it.

    Excel and R write TRUE, databases true, pandas True. Any other column is returned as it is.
    """
    # Most columns are known by their first cell.
    lower = (cell.strip().lower() for cell in texts if isinstance(cell, str))
    if next((word for word in lower if word not in MISSING_WORDS), "") not in _TRUTH:
        return texts
    known = texts.dropna()
    words = known.str.strip().str.lower()
    truths = words.isin(_TRUTH)
    if not (truths | words.isin(MISSING_WORDS)).all():
        return texts
    column = texts.copy()
    column[truths.index[truths]] = words[truths].str.capitalize()
    return column


def find_form(cells: pa.Array, *, decimal: str = ".") -> NumberForm:
    """The form in which most of the distinct cells are numbers; that of plain numbers where several are as good.

    Args:
        cells: none of them missing.
        decimal: the decimal mark of the file, which settles what "1,234" is where the column does not.
    """
    plain = pc.match_substring_regex(cells, PLAIN.pattern)
    marked = pc.unique(pc.filter(cells, pc.invert(plain)))[:_DISTINCT].to_pylist()
    if not marked and (decimal == "." or not holds_point(cells)):
        return PLAIN
    seen = [*marked, *pc.unique(pc.filter(cells, plain))[:_DISTINCT].to_pylist()]
    units = Counter(next(filter(None, found.groups())) for cell in seen if (found := _UNIT.search(cell)))
    # Of several forms that are as good, the first is taken.
    marks = sorted(_MARKS, key=lambda pair: pair[0] != decimal)
    forms = [NumberForm(*pair, unit) for unit in ("", *(name for name, _ in units.most_common(1))) for pair in marks]

    def fitting(form: NumberForm) -> int:
        pattern = re.compile(form.pattern)
        return sum(pattern.match(cell) is not None for cell in seen)

    return max(forms, key=fitting)
