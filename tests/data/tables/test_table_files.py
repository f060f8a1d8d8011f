from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from unconfound.data.tables.table import table
from unconfound.data.tables.table_files import read_frame

ROWS = [["age", "colour"], ["3", "red"], ["4", "blue"]]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ", "])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in ROWS)
    frame, notes = read_frame(written(tmp_path / "table.csv", text))
    assert frame.columns.tolist() == ROWS[0]
    assert frame["age"].tolist() == [3, 4]
    assert frame["colour"].tolist() == ["red", "blue"]
    assert notes == []


def test_packed_marked_and_quoted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress('\ufeff"age, in years; rounded";colour\n3;?\n;red\n'.encode()))
    frame, _ = read_frame(path)
    assert frame.columns.tolist() == ["age, in years; rounded", "colour"]
    assert frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_parquet_is_read_as_it_was_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [3, None], "day": pd.to_datetime(["2020-01-01", "2021-01-01"])}, index=[5, 9])
    frame.to_parquet(tmp_path / "table.parquet")
    read, _ = read_frame(tmp_path / "table.parquet")
    assert read.index.tolist() == [0, 1]
    assert read["day"].equals(frame["day"].reset_index(drop=True))


def test_a_named_index_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [3, 4]}, index=pd.Index(["a", "b"], name="colour"))
    frame.to_parquet(tmp_path / "table.parquet")
    assert read_frame(tmp_path / "table.parquet")[0].columns.tolist() == ["colour", "age"]


def test_row_numbers_are_left_out(tmp_path: Path) -> None:
    pd.DataFrame({"age": [3, 4]}).to_csv(tmp_path / "table.csv")
    frame, notes = read_frame(tmp_path / "table.csv")
    assert frame.columns.tolist() == ["age"]
    assert "row numbers" in notes[0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("age,colour\n", "0 rows"),
        ("age,colour,age\n1,2,3\n", "more than one column named 'age'"),
        ("age,colour\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ("age,colour\n1,2,3\n1,2,3\n", "cannot be read as a table"),
    ],
)
def test_doubtful_files(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read_frame(written(tmp_path / "table.csv", text))


@pytest.mark.parametrize("name", ["table.parquet", "table.csv.gz", "table.csv"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b\xff\x00\xfe\x80" * 9)
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_frame(tmp_path / name)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no table at"):
        read_frame(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="is no table: expected"):
        read_frame(written(tmp_path / "table.xlsx", "a,b\n1,2\n"))


@pytest.mark.parametrize("name", ["Unnamed: 0", "Unnamed: 0.1", "", " ", "__index_level_0__"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_row_numbers_that_were_written_again_are_left_out(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"table.{ending}"
    getattr(pd.DataFrame({"age": [3, 9, 4], name: [5, 7, 8]}), f"to_{ending}")(path, index=False)
    frame, notes = read_frame(path)
    assert frame.columns.tolist() == ["age"]
    assert any("row numbers" in note for note in notes)


def test_an_index_column_is_left_out_where_it_counts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [3, 9, 4]})
    frame.reset_index().to_csv(tmp_path / "table.csv", index=False)
    read, notes = read_frame(tmp_path / "table.csv")
    assert read.columns.tolist() == ["age"]
    assert notes == ["column 'index' is left out: it counts the rows"]
    frame.assign(index=[7, 7, 1]).to_csv(tmp_path / "table.csv", index=False)
    assert read_frame(tmp_path / "table.csv")[0].columns.tolist() == ["age", "index"]


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("true", "false"), ("True", "False")])
def test_truth_is_written_in_one_way(tmp_path: Path, words: tuple[str, str]) -> None:
    truth = [True, False, False, True, None] * 4
    pd.DataFrame({"b": truth, "v": range(20), "y": [row % 2 == 0 for row in range(20)]}).to_parquet(
        tmp_path / "t.parquet"
    )
    rows = [f"{'' if b is None else words[not b]},{row},{words[row % 2]}" for row, b in enumerate(truth)]
    new = table(
        written(tmp_path / "t.csv", "\n".join(["b,v,y", *rows])),
        test_share=0,
        encoding=(fitted := table(tmp_path / "t.parquet", label="y", test_share=0)).restore["encoding"],
    )
    assert new.train.inputs.equal(fitted.train.inputs)
    assert new.train.labels.equal(fitted.train.labels)
    assert fitted.train.schema.classes == ("False", "True")
    frame, _ = read_frame(tmp_path / "t.csv")
    assert frame["b"].dropna().tolist() == [str(b) for b in truth if b is not None]


def test_words_beside_truth_are_kept(tmp_path: Path) -> None:
    frame, _ = read_frame(written(tmp_path / "t.csv", "a,b\nTRUE,NA\ntrue,TRUE\nmaybe,false\n"))
    assert frame["a"].tolist() == ["TRUE", "true", "maybe"]
    assert frame["b"].tolist() == ["NA", "True", "False"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("index", "kept"),
    [
        ([7, 3, 5, 9], False),
        ([0, 1, 0, 1], "csv"),
        ([0.0, 1.0, 2.0, 3.0], False),
        ([0.5, 1.5, 2.5, 3.5], True),
        (["red", "blue", "red", "red"], True),
        (["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"], True),
        ([None] * 4, False),
    ],
)
def test_a_column_without_a_name_is_kept_where_it_numbers_no_rows(
    tmp_path: Path, ending: str, index: list, kept: bool | str
) -> None:
    path = tmp_path / f"table.{ending}"
    getattr(pd.DataFrame({"age": [3, 9, 4, 4]}, index=pd.Index(index)), f"to_{ending}")(path)
    frame, notes = read_frame(path)
    name = "Unnamed: 0" if ending == "csv" else "__index_level_0__"
    assert frame.columns.tolist() == [name, "age"] if kept in (True, ending) else ["age"]
    if kept in (True, ending):
        assert frame[name].tolist() == index
    assert len(notes) == (ending == "csv" or kept is not True)


def test_a_nameless_column_is_named_by_its_place(tmp_path: Path) -> None:
    frame, notes = read_frame(written(tmp_path / "table.csv", "a,,y\n1,red,u\n4,blue,v\n2,red,v\n"))
    assert frame.columns.tolist() == ["a", "Unnamed: 1", "y"]
    assert notes == ["column 2 has no name and is called 'Unnamed: 1'"]


def test_row_numbers_that_start_anew_are_left_out(tmp_path: Path) -> None:
    half = pd.DataFrame({"age": [3, 9, 4, 4] * 5})
    pd.concat([half, half.head(9)]).to_csv(tmp_path / "table.csv")
    assert read_frame(tmp_path / "table.csv")[0].columns.tolist() == ["age"]
