from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unconfound.data.tables.table import table
from unconfound.data.tables.table_files import read_frame

ROWS = 12


def written(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns | {"y": ["u", "v"] * (ROWS // 2)}), path)
    return path


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 3)])
def test_lists_of_floats_are_features(tmp_path: Path, kind: pa.DataType) -> None:
    values = np.arange(3 * ROWS, dtype=np.float32).reshape(ROWS, 3) ** 2
    lists = [*values.tolist()[:-1], None]
    path = written(tmp_path / "table.parquet", embedding=pa.array(lists, kind), age=np.arange(ROWS) * 2)
    frame, notes = read_frame(path)
    assert frame.columns.tolist() == ["embedding[0]", "embedding[1]", "embedding[2]", "age", "y"]
    np.testing.assert_array_equal(frame.iloc[:-1, :3].to_numpy(np.float32), values[:-1])
    assert frame.iloc[-1, :3].isna().all()
    assert "'embedding' holds lists of 3 numbers" in notes[0]
    # New rows by the same encoding: the same features; longer or shorter lists are refused.
    dataset = table(path, label="y", test_share=0.0)
    again = table(path, test_share=0, encoding=dataset.restore["encoding"])
    assert again.train.inputs.equal(dataset.train.inputs)
    for lists, match in (
        ([[0.5] * 4] * ROWS, "'embedding' holds lists of 4 numbers: those of training have 3"),
        ([[0.5] * 2] * ROWS, "'embedding' holds lists of 2 numbers: those of training have 3"),
        ([[0.5] * 3, [0.5] * 2] * (ROWS // 2), "'embedding' holds lists of 2 or 3 numbers: those of training have 3"),
        (pa.nulls(ROWS, pa.list_(pa.float32())), "'embedding' is empty: lists of 3 numbers are needed, as in training"),
        (["0.5"] * ROWS, "'embedding' holds no lists: lists of 3 numbers are needed, as in training"),
    ):
        other = written(tmp_path / "other.parquet", embedding=lists, age=np.arange(ROWS))
        with pytest.raises(ValueError, match=match):
            table(other, test_share=0, encoding=dataset.restore["encoding"])


@pytest.mark.parametrize(
    "lists",
    [
        pa.array([[1, 2]] * ROWS),
        pa.array([[0.5]] * (ROWS - 1) + [[0.5, 1.5]]),
        pa.array([["a"]] * ROWS),
        pa.array([[[0.5]]] * ROWS),
        pa.array([[]] * ROWS, pa.list_(pa.float32())),
    ],
)
def test_other_lists_are_refused_by_name(tmp_path: Path, lists: pa.Array) -> None:
    with pytest.raises(ValueError, match=r"table\.parquet: column 'tokens' holds a list in a cell"):
        table(written(tmp_path / "table.parquet", tokens=lists), label="y")


def test_categories_of_numbers_and_long_numbers_with_gaps(tmp_path: Path) -> None:
    numbers = [2**53, 2**53 + 1, None] * (ROWS // 3)
    path = written(
        tmp_path / "table.parquet",
        code=pa.array([3, 1, 2] * (ROWS // 3)).dictionary_encode(),
        long=pa.array(numbers, pa.int64()),
    )
    frame, _ = read_frame(path)
    assert isinstance(frame["code"].dtype, pd.CategoricalDtype)
    assert [None if pd.isna(number) else int(number) for number in frame["long"]] == numbers


def test_missing_as_in_csv_and_words_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "table.parquet", word=["NA", "", "?", None, "None", "x"] * (ROWS // 6))
    word = read_frame(path)[0]["word"]
    assert word.isna().tolist()[:6] == [False, True, True, True, False, False]
    assert word.tolist()[4] == "None"


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    index = pd.MultiIndex.from_arrays([list("xxyy"), range(4)], names=["kind", None])
    pd.DataFrame({"age": [3.0, 4, 5, 7]}, index=index).to_parquet(tmp_path / "table.parquet")
    frame, notes = read_frame(tmp_path / "table.parquet")
    assert frame.columns.tolist() == ["kind", "age"]
    assert any("row numbers" in note for note in notes)
    # Written again by a program that knows nothing of pandas.
    plain = pq.read_table(tmp_path / "table.parquet").replace_schema_metadata(None)
    pq.write_table(plain, tmp_path / "plain.parquet")
    assert sorted(read_frame(tmp_path / "plain.parquet")[0].columns) == ["age", "kind"]


def test_damaged_files_end_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = written(tmp_path / "damaged.parquet", age=np.arange(ROWS) * 1.5, city=["Ulm", "Bonn"] * (ROWS // 2))
    whole, refused = path.read_bytes(), []
    for _ in range(60):
        raw = bytearray(whole)
        for place in rng.integers(0, len(raw), 4):
            raw[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(raw)
        try:
            table(path, label="y")
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all(str(path) in line and "\n" not in line for line in refused)
