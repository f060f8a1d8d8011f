from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data.tables.written_numbers import (
    MISSING_WORDS,
    PLAIN,
    NumberForm,
    begins_with_zero,
    find_form,
    known_cells,
    plain_column,
    read_numbers,
    text_cells,
)


def read(texts: list, decimal: str = ".") -> tuple[NumberForm, list[float]]:
    cells = text_cells(pd.Series(texts, dtype="str"))
    form = find_form(cells, decimal=decimal)
    return form, read_numbers(cells, form).tolist()


@pytest.mark.parametrize(
    ("texts", "form", "numbers"),
    [
        (["1", "-2.5", "+3", ".5", "4.", "1e3", "-1E-2"], PLAIN, [1, -2.5, 3, 0.5, 4, 1000, -0.01]),
        (["1,234", "950", "-1,234,567.5"], NumberForm(thousands=","), [1234, 950, -1234567.5]),
        (["1,5", "-0,25", "950"], NumberForm(","), [1.5, -0.25, 950]),
        (["1.234,5", "950,1", "1.234.567,0"], NumberForm(",", "."), [1234.5, 950.1, 1234567]),
        (["1\u202f234,5", "1\u00a0000", "7"], NumberForm(",", " "), [1234.5, 1000, 7]),
        (["1\u2019234.5", "1'000", "7"], NumberForm(".", "'"), [1234.5, 1000, 7]),
        (["12.5%", "-3 %", "0%"], NumberForm(unit="%"), [12.5, -3, 0]),
        (["12%", "0", "0.0", "-3%", "5"], NumberForm(unit="%"), [12, 0, 0, -3, np.nan]),
        (["12,5 %", "3,25 %"], NumberForm(",", unit="%"), [12.5, 3.25]),
        (["$1,200", "-$5.50", "$-5", "3"], NumberForm(thousands=",", unit="$"), [1200, -5.5, -5, 3]),
        (["1.200,50 €", "3 €", "€ 4"], NumberForm(",", ".", "€"), [1200.5, 3, 4]),
        (["EUR 12", "13 EUR", "\u2212 14"], NumberForm(unit="EUR"), [12, 13, np.nan]),
        # Another currency is no number beside the first, and a bare one is none beside per cent.
        (["$1", "$2", "€3"], NumberForm(unit="$"), [1, 2, np.nan]),
        (["1%", "2%", "0.5"], NumberForm(unit="%"), [1, 2, np.nan]),
        (["1", "2", "many"], PLAIN, [1, 2, np.nan]),
        # No groups of three digits, and no thousands below one.
        (["1,23,456", "0,123", "x"], NumberForm(","), [np.nan, 0.123, np.nan]),
    ],
)
def test_forms(texts: list[str], form: NumberForm, numbers: list[float]) -> None:
    found, values = read(texts)
    assert found == form
    np.testing.assert_array_equal(values, numbers)


def test_the_file_settles_what_a_column_leaves_open() -> None:
    assert read(["1.234", "987"])[1] == [1.234, 987]
    assert read(["1.234", "987"], decimal=",")[1] == [1234, 987]
    assert read(["1,234", "987"])[1] == [1234, 987]
    assert read(["1,234", "987"], decimal=",")[1] == [1.234, 987]
    # What it cannot be, it is not.
    assert read(["0.25", "1.5"], decimal=",") == (PLAIN, [0.25, 1.5])


@settings(deadline=None, max_examples=40)
@given(
    numbers=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=6),
    form=st.builds(NumberForm, st.just(","), st.sampled_from(["", ".", " "]), st.sampled_from(["", "%", "€", "USD"])),
)
def test_what_is_written_is_read(numbers: list[int], form: NumberForm) -> None:
    digits = [
        f"{number / 4:,.2f}".replace(",", "_").replace(".", ",").replace("_", form.thousands) for number in numbers
    ]
    cells = text_cells(pd.Series([f"{text} {form.unit}" for text in digits], dtype="str"))
    assert read_numbers(cells, form).tolist() == [round(number / 4, 2) for number in numbers]


def test_words_for_nothing_and_codes() -> None:
    cells = text_cells(pd.Series(["NA", " n/a ", None, "", "NULL", "Nadia", "0"], dtype="str"))
    assert known_cells(cells).tolist() == [False] * 5 + [True] * 2
    codes = ["12", "007", None, "0", "00", "0.5", "07.5", "10", "0x"]
    assert begins_with_zero(text_cells(pd.Series(codes, dtype="str"))).nonzero()[0].tolist() == [1, 4]


def test_plain_columns_stay_exact() -> None:
    big = 2**53
    whole = plain_column(pd.Series([str(big), str(big + 1), None], dtype="str"))
    assert [int(number) for number in whole.dropna()] == [big, big + 1]
    assert whole.isna().tolist() == [False, False, True]
    assert plain_column(pd.Series(["1", "NA", "2.5"], dtype="str")).tolist()[::2] == [1, 2.5]
    for kept in (["01", "1"], ["1", "x"], ["1" * 30, "2"], ["NA", "None"], ["1,5", "2"]):
        assert plain_column(pd.Series(kept, dtype="str")).tolist() == kept


PLAIN_CELLS = ["0", "7", "-2", "1.5", ".5", "1e3", " 3 ", "\u22124", "inf", "123456789012345678"]
OTHER_CELLS = [None, "NA", "nan", " - ", "007", "x", "1,5", "9223372036854775808", "true"]


def cell_by_cell(cells: list[str | None]) -> list[object]:
    """What `plain_column` makes of a column, None where a number is missing."""
    trimmed = ["" if cell is None else cell.strip().replace("\u2212", "-") for cell in cells]
    known = [cell for cell in trimmed if cell.lower() not in MISSING_WORDS]
    plain = [re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)(e\d+)?|inf", cell) and not re.match(r"0\d", cell) for cell in known]
    whole = all(re.fullmatch(r"-?\d+", cell) for cell in known)
    if not known or not all(plain) or (whole and any(abs(int(cell)) >= 2**63 for cell in known)):
        return list(cells)
    return [(int(cell) if whole else float(cell)) if cell in known else None for cell in trimmed]


@given(
    st.lists(st.sampled_from(PLAIN_CELLS), max_size=5),
    st.lists(st.sampled_from(OTHER_CELLS), max_size=2),
    st.sampled_from([1, 60]),
    st.booleans(),
)
def test_plain_columns_are_read_as_cell_by_cell(
    plain: list[str], other: list[str | None], times: int, others_first: bool
) -> None:
    cells = [*other, *plain * times] if others_first else [*plain * times, *other]
    column = plain_column(pd.Series(cells, dtype="str"))
    found = [None if pd.isna(cell) else cell for cell in column]
    assert found == cell_by_cell(cells)
    assert [isinstance(cell, float) for cell in found] == [isinstance(cell, float) for cell in cell_by_cell(cells)]
