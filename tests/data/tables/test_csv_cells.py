from __future__ import annotations

import csv
import io
import warnings

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from unconfound.data.tables import csv_cells
from unconfound.data.tables.csv_cells import read_cells

DELIMITERS = st.sampled_from([",", ";", "\t", "|"])
# What a delimiter, a quotation mark, a line or a missing cell is made of, and what pandas and pyarrow may each strip.
PIECES = ["", "?", " ", "  ", "\t", '"', '""', "\n", "\r", "\r\n", ",", ";", "|", "a", "01", "-1.5", "1,5", "NA", "nan"]
PIECES += ["null", "ü", "\u00a0", "\u2028", "\ufeff", "\x0b", "'", "\\", "#"]
CELLS = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)


def by_pandas(text: str, delimiter: str) -> tuple[list[str], pd.DataFrame] | str:
    """What pandas alone makes of a file, or the message by which it refuses it."""
    how = {"sep": delimiter, "dtype": str, "skipinitialspace": True, "keep_default_na": False, "na_values": ["", "?"]}
    try:
        names = pd.read_csv(io.StringIO(text), header=None, nrows=1, **how).iloc[0].fillna("").str.strip().tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(io.StringIO(text), index_col=False, **how)
    except (ValueError, pd.errors.ParserWarning) as error:
        return str(error)
    frame.columns = pd.Index(names)
    return names, frame


def check(text: str, delimiter: str) -> None:
    expected = by_pandas(text, delimiter)
    if isinstance(expected, str):
        with pytest.raises((ValueError, pd.errors.ParserWarning)) as refused:
            read_cells(text.encode(), delimiter)
        assert str(refused.value) == expected
        return
    names, frame = read_cells(text.encode(), delimiter)
    assert names == expected[0]
    assert_frame_equal(frame, expected[1])


@st.composite
def written_tables(draw: st.DrawFn) -> tuple[str, str]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6))
    delimiter = draw(DELIMITERS)
    text = io.StringIO()
    csv.writer(
        text,
        delimiter=delimiter,
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    ).writerows(rows)
    return text.getvalue(), delimiter


@given(written_tables())
def test_written_tables_are_read_as_pandas_reads_them(written: tuple[str, str]) -> None:
    check(*written)


@st.composite
def untidy_texts(draw: st.DrawFn) -> tuple[str, str]:
    """Cells as they are, in rows of one length as a rule."""
    width, delimiter = draw(st.integers(1, 3)), draw(DELIMITERS)
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return end.join(delimiter.join(row) for row in rows) + draw(st.sampled_from(["", end])), delimiter


@given(untidy_texts())
@example(('a,b\n1,"2', ","))
@example(('a,b\n1,"2\n3,4\n', ","))
@example(('a,b\n1, "2,\n3"\n', ","))
@example(('a,b\n1,   "2,\n3"\n', ","))
@example(('a,b\n1,"  2"\n" 3",4\n', ","))
@example(('a,b\n"" ,3\n', ","))
@example(("a,b\n \n\t\n1,2\n", ","))
@example(("a\tb\n \n \t\n1\t2\n", "\t"))
@example(("a,b\n1\n2,3\n", ","))
@example(("a,b\n1,2,3\n", ","))
@example(("a,b\n1,2,3\n4,5\n", ","))
def test_any_text_is_read_or_refused_as_by_pandas(written: tuple[str, str]) -> None:
    check(*written)


@given(st.lists(st.lists(st.sampled_from(["a", " ?", "b c", '"d;""\ne"', '""', "", " 1.50"]), min_size=3, max_size=3)))
def test_usual_tables_are_read_quickly(rows: list[list[str]]) -> None:
    text = "".join(";".join(row) + "\n" for row in [["x", "y", '"z"'], *rows])
    check(text, ";")
    assert csv_cells._read_quickly(text.encode(), ";", 3) is not None


@pytest.mark.parametrize("text", ["a b\n1 2\n", 'a"b\n1"2\n'])
def test_delimiters_that_a_file_names_itself(text: str) -> None:
    check(text, text[1])
