from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unconfound.data.tables.table_files import read_frame

TEXT = "name,age\nJosé,3\nZoë,4\n"


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("latin-1", "Windows-1252"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, note: str | None) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(TEXT.encode(encoding))
    frame, notes = read_frame(path)
    assert frame.columns.tolist() == ["name", "age"]
    assert frame["name"].tolist() == ["José", "Zoë"]
    assert frame["age"].tolist() == [3, 4]
    assert bool(notes) == (note is not None)
    assert note is None or note in notes[0]


def test_damaged_utf8_is_no_older_encoding(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(TEXT.encode() + b"Ren\xe9,5\n")
    with pytest.raises(
        ValueError, match=r"table\.csv cannot be read as a table: it is damaged, or no UTF-8: .* at byte 27"
    ):
        read_frame(path)
    path.write_bytes(b"name,age\nBo\0b,3\n")
    with pytest.raises(ValueError, match="it is no text: it holds a zero at character 11"):
        read_frame(path)


@pytest.mark.parametrize(
    "text", ["Preis, netto;Menge\n1,5;2,5\n2,5;3,5\n", "sep=;\nPreis, netto;Menge\n1,5;2,5\n2,5;3,5\n"]
)
def test_a_header_may_hold_other_delimiters(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert read_frame(path)[0].columns.tolist() == ["Preis, netto", "Menge"]


def test_of_delimiters_that_fit_alike_the_comma_is_last(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("Heat, C;Wind, m;Sun, h;y\n1,5;2,5;0,1;a\n2,5;3,5;0,2;b\n")
    assert read_frame(path)[0].columns.tolist() == ["Heat, C", "Wind, m", "Sun, h", "y"]


def test_cells_keep_their_words(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("code,word,long,count\n01,NA,9007199254740993,1\n1,None,,NA\n2,,9007199254740992,3\n,?,5,\n")
    frame, _ = read_frame(path)
    assert frame["code"].tolist()[:3] == ["01", "1", "2"]
    assert frame["word"].tolist()[:2] == ["NA", "None"]
    assert frame.isna().to_numpy().T.tolist() == [
        [False, False, False, True],
        [False, False, True, True],
        [False, True, False, False],
        [False, True, False, True],
    ]
    assert [int(number) for number in frame["long"].dropna()] == [2**53 + 1, 2**53, 5]
    assert frame["count"].dropna().tolist() == [1, 3]


def header_of(tmp_path: Path, text: str, **expected: object) -> list[str]:
    (tmp_path / "table.csv").write_text(text)
    frame, notes = read_frame(tmp_path / "table.csv", **expected)
    return [*frame.columns, *notes]


@pytest.mark.parametrize(
    "text",
    [
        "0.3,-1.2\n0.5,0.1\n0.7,-0.4\n",
        "5.1,3.5,setosa\n4.9,3.0,setosa\n6.1,2.8,virginica\n",
        "2020-01-01,red\n2020-01-02,red\n2020-01-03,blue\n",
        "p,x,s\np,b,s\ne,x,y\ne,b,y\n",
        "7\n3\n5\n",
        "5,2,9\n1,2,3\n5,4,8\n",
        "9,7,red\n3,1,red\n3,4,blue\n",
    ],
)
def test_a_first_row_of_values_is_no_header(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"table.csv cannot be read as a table: it has no header: its first row holds"):
        header_of(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "0,1,2\n5,3,8\n2,9,1\n",  # what pandas writes for an array
        "age,setosa\n4.9,setosa\n3.0,setosa\n",
        "colour,size\nred,1\nred,2\n",
        "text\none thing\nanother\n",
        "1,colour\n5,red\n6,red\n",
    ],
)
def test_a_header_is_known(tmp_path: Path, text: str) -> None:
    assert header_of(tmp_path, text) == text.splitlines()[0].split(",")


@pytest.mark.parametrize(
    "text",
    [
        "1990,2000,2005\n7,3,5\n2,2,2\n",
        "Company,2021,2020,2019\nA,7,3,5\nB,2,2,2\n",
        "3,2,1\n2,2,1\n1,2,3\n",
        "5,2,9\n0.3,0.1,-0.2\n0.7,-0.4,1.5\n",
        "0\n0.3\n0.7\n",
    ],
)
def test_numbers_may_be_names_with_a_note(tmp_path: Path, text: str) -> None:
    first = text.splitlines()[0].split(",")
    *names, note = header_of(tmp_path, text)
    assert names == first
    assert f"its header holds numbers ({', '.join(first[:3])}" in note


def test_an_exported_series_has_a_header(tmp_path: Path) -> None:
    assert header_of(tmp_path, ",0\n0,0.3\n1,0.7\n")[0] == "0"


def test_expected_names_make_a_header(tmp_path: Path) -> None:
    assert header_of(tmp_path, "5,3\n1,2\n", expected=["3"]) == ["5", "3"]


def test_damaged_files_end_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = (
        "age,city,day\n" + "".join(f"{row * 7 % 31},K\u00f6ln {row % 3},2020-01-{row + 1:02d}\n" for row in range(30))
    ).encode()
    path, refused = tmp_path / "damaged.csv", []
    for _ in range(60):
        raw = bytearray(whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(raw), 4):
            raw[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(raw)
        try:
            read_frame(path)
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all(str(path) in line and "\n" not in line for line in refused)
