"""The file that parts become: each of its columns, and the same array as `numpy.save` writes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from unconfound.data import MemorySource, Schema
from unconfound.evaluation.embedding_parts import Part, parts_of
from unconfound.evaluation.joined_parts import NamedClassifier, write_array, write_table

FEATURES = np.array([[4, 0], [0, 3], [1, 0]], np.float32)
PARTS = [Part(0, "train", 0, 2), Part(1, "train", 2, 3)]
PIECES = [(part, FEATURES[part.first : part.stop]) for part in PARTS]


@pytest.fixture
def sources() -> dict[str, MemorySource]:
    labels, groups = torch.tensor([0, 1, -1]), torch.tensor([2, -1, 0])
    schema = Schema("tables", (2,), ("no", "yes"), ("a", "b", "c"))
    return {"train": MemorySource("rows", schema, torch.zeros(3, 2), labels, groups, names=["x", "y", "z"])}


def _eye() -> NamedClassifier:
    linear = nn.Linear(2, 2, bias=False)
    nn.init.eye_(linear.weight)
    return NamedClassifier(linear, ("cat", "dog"))


def test_all_columns_stand_there_with_one_of_vectors(tmp_path: Path, sources: dict[str, MemorySource]) -> None:
    path = tmp_path / "rows.parquet"
    write_table(path, PIECES, sources, features=2, classifier=_eye())
    table = pd.read_parquet(path)
    columns = ["split", "index", "name", "label", "group", "prediction", "confidence", "embedding"]
    assert list(table) == columns
    assert table["index"].tolist() == [0, 1, 2]
    assert table["name"].tolist() == ["x", "y", "z"]
    assert table["label"].fillna("").tolist() == ["no", "yes", ""]
    assert table["group"].fillna("").tolist() == ["c", "", "a"]
    assert table["prediction"].tolist() == ["cat", "dog", "cat"]
    np.testing.assert_allclose(table["confidence"], [1 / (1 + np.exp(-x)) for x in (4, 3, 1)], rtol=1e-6)
    np.testing.assert_array_equal(np.stack(table["embedding"]), FEATURES)
    stored = pq.ParquetFile(path)
    assert stored.num_row_groups == len(PARTS)
    assert stored.schema_arrow.field("embedding").type == pa.list_(pa.float32(), 2)


def test_columns_of_which_nothing_is_known_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    nobody = MemorySource("rows", Schema("tables", (2,)), torch.zeros(3, 2), torch.full((3,), -1))
    write_table(path, PIECES, {"train": nobody}, features=2)
    assert list(pd.read_parquet(path)) == ["split", "index", "embedding"]


def test_a_split_without_names_or_labels_has_none_beside_one_with(
    tmp_path: Path, sources: dict[str, MemorySource]
) -> None:
    path = tmp_path / "rows.parquet"
    bare = MemorySource("rows", Schema("tables", (2,)), torch.zeros(1, 2))
    pieces = [*PIECES, (Part(2, "test", 0, 1), FEATURES[:1])]
    write_table(path, pieces, sources | {"test": bare}, features=2)
    table = pd.read_parquet(path)
    assert list(table) == ["split", "index", "label", "group", "embedding"]
    assert table["split"].tolist() == ["train", "train", "train", "test"]
    assert table["label"].fillna("").tolist() == ["no", "yes", "", ""]


def test_an_array_is_written_as_numpy_writes_it(tmp_path: Path) -> None:
    write_array(tmp_path / "rows.npy", (rows for _, rows in PIECES), samples=3, features=2)
    whole = io.BytesIO()
    np.save(whole, FEATURES)
    assert (tmp_path / "rows.npy").read_bytes() == whole.getvalue()


def test_other_weights_or_names_are_another_classifier() -> None:
    ours = _eye()
    assert ours.fingerprint() == _eye().fingerprint()
    assert NamedClassifier(ours.linear, ("cat", "cow")).fingerprint() != ours.fingerprint()
    assert NamedClassifier(nn.Linear(2, 2, bias=False), ours.classes).fingerprint() != ours.fingerprint()


@pytest.mark.parametrize(("features", "rows"), [(64, 160), (2**17, 30), (2**20, 10)])
def test_parts_are_whole_batches_of_bounded_size(features: int, rows: int) -> None:
    """At most 16 batches of 10, at most 16 MiB, and at least a batch."""
    parts = parts_of({"train": 401, "test": 3}, features=features, batch_size=10)
    assert [part.number for part in parts] == [*range(len(parts))]
    for split, samples in (("train", 401), ("test", 3)):
        theirs = [part for part in parts if part.split == split]
        assert [each for part in theirs for each in range(part.first, part.stop)] == [*range(samples)]
        assert {len(part) for part in theirs[:-1]} <= {rows}
