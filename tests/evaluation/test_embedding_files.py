from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation.dataset_of_embeddings import dataset_of_embeddings, with_table
from unconfound.evaluation.embedding_files import read_embedding_file
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.joined_embeddings import join_embeddings
from unconfound.evaluation.judging import Judging


def write_all(folder, vectors, *, names, labels, groups, splits):
    """Write the same embeddings in each of the forms; return their files, and how each is to be read."""
    np.save(folder / "plain.npy", vectors)
    (folder / "names.txt").write_text("\n".join(names) + "\n")
    rows = zip(names, labels, groups, splits, strict=True)
    lines = ["file,label,group,split", *(",".join(map(str, row)) for row in rows)]
    (folder / "table.csv").write_text("\n".join(lines))
    arrays = {"names": names, "labels": labels, "groups": groups, "split": splits}
    np.savez(folder / "arrays.npz", embeddings=vectors, **{name: np.array(each) for name, each in arrays.items()})
    columns = {"name": names, "label": labels, "group": groups, "split": splits}
    wide = {f"embedding_{place}": vectors[:, place] for place in range(vectors.shape[1])}
    pq.write_table(pa.table(columns | wide), folder / "wide.parquet")
    pq.write_table(pa.table(columns | {"embedding": list(vectors)}), folder / "lists.parquet", row_group_size=7)
    fixed = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1])
    pq.write_table(pa.table(columns | {"vector": fixed}), folder / "fixed.parquet")
    files = {
        name: read_embedding_file(folder / name)
        for name in ("arrays.npz", "wide.parquet", "lists.parquet", "fixed.parquet")
    }
    plain = read_embedding_file(folder / "plain.npy", names=folder / "names.txt")
    return files | {"plain.npy": with_table(plain, folder / "table.csv", group="group")}


def test_figures_are_the_same_bit_for_bit_whichever_the_kind_of_file(tmp_path):
    rng = np.random.default_rng(0)
    count = 90
    labels, groups = rng.integers(0, 2, count), rng.integers(0, 3, count)
    # Columns of very different sizes: whoever scaled them would see.
    vectors = (rng.normal(size=(count, 3)) + labels[:, None]) * [1.0, 1000.0, 0.001]
    vectors = vectors.astype(np.float32)
    names = [f"cat/{number}.jpg" for number in rng.permutation(count)]
    splits = ["train"] * 60 + ["test"] * 30
    files = write_all(tmp_path, vectors, names=names, labels=labels.tolist(), groups=groups.tolist(), splits=splits)
    found = {}
    for name, file in files.items():
        assert torch.equal(file.features, torch.from_numpy(vectors))
        joined = join_embeddings({"it": file}, dataset_of_embeddings(file))
        judging = Judging(device="cpu")
        found[name] = evaluate(joined.encoders["it"], joined.dataset, name="it", judging=judging).evaluation
    first = found["arrays.npz"]
    assert list(first.groups["test"]) == ["0", "1", "2"]  # as they are, and not beside the class
    assert first.tests["test"]["worst_group"].value < first.tests["test"]["linear_probe"].value
    for each in found.values():
        assert (each.tests, each.groups, each.classes) == (first.tests, first.groups, first.classes)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_every_kind_of_file_is_read_alike(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("files")
    rows, width = data.draw(st.integers(1, 9)), data.draw(st.integers(2, 12))
    number = st.floats(-(2.0**90), 2.0**90, width=data.draw(st.sampled_from([32, 64])))
    vectors = np.array(
        data.draw(st.lists(st.lists(number, min_size=width, max_size=width), min_size=rows, max_size=rows))
    )
    if data.draw(st.booleans()):
        vectors = vectors.astype(np.float32)
    code = data.draw(st.sampled_from([st.integers(0, 12), st.sampled_from(["a b", "ä", "10"])]))
    labels, groups = (data.draw(st.lists(code, min_size=rows, max_size=rows)) for _ in range(2))
    names = [f"{row}.png" for row in range(rows)]
    files = write_all(folder, vectors, names=names, labels=labels, groups=groups, splits=["train"] * rows)
    for file in files.values():
        assert torch.equal(file.features, torch.from_numpy(vectors).float())
        assert file.features.dtype == torch.float32
        assert list(file.names) == names
        assert (list(file.labels), list(file.groups)) == (list(map(str, labels)), list(map(str, groups)))


def test_splits_on_other_backgrounds_are_put_in_the_order_of_the_originals(tmp_path):
    vectors = np.arange(24.0).reshape(12, 2)
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "h", "g", "g", "h"]
    splits = ["0"] * 6 + ["original"] * 2 + ["mixed-same"] * 2 + ["mixed-rand"] * 2
    np.savez(tmp_path / "a.npz", x=vectors, names=names, split=splits, y=np.arange(12) % 2)
    file = read_embedding_file(tmp_path / "a.npz")
    dataset = dataset_of_embeddings(file)
    assert [*dataset.tests] == ["original", "mixed-same", "mixed-rand"]
    assert all(list(source.names) == ["g", "h"] for source in dataset.tests.values())
    joined = join_embeddings({"it": file}, dataset)
    assert joined.encoders["it"].sets["mixed-same"].tolist() == vectors[[9, 8]].tolist()
    np.savez(tmp_path / "b.npz", x=vectors, names=[*names[:-1], "z"], split=splits, y=np.arange(12) % 2)
    with pytest.raises(ValueError, match="rows of mixed-rand are not those of original"):
        dataset_of_embeddings(read_embedding_file(tmp_path / "b.npz"))


ARRAYS = [
    ({"a": np.zeros((2, 2))}, {}, "holds a: call the array of the embeddings embeddings"),
    ({"x": np.zeros(3)}, {}, r"holds float64 of shape \(3,\): embeddings are numbers \[samples, features\]"),
    ({"x": np.full((2, 2), np.nan)}, {}, "embeddings hold 4 values that are NaN or infinite"),
    ({"x": np.zeros((3, 2)), "names": ["a"]}, {}, "has 3 embeddings and 1 names"),
    ({"x": np.zeros((3, 2))}, {"label": "kind"}, "has no column 'kind' for --label: it has embeddings alone"),
    ({"x": np.array([[{}]])}, {}, "cannot be read as an array.*never unpickled"),
]
COLUMNS = [
    ({"name": ["a"], "one": [1.0]}, "holds name, one: give one column of lists called embedding, or numbered columns"),
    ({"embedding": [[1.0], [1.0, 2.0]]}, "the vectors have between 1 and 2 numbers"),
    ({"embedding": [[1.0], None]}, "1 of the 2 vectors are missing"),
    ({"e_0": [1.0, None], "e_1": [1.0, 2.0]}, "hold 1 values that are NaN"),
]


@pytest.mark.parametrize(("arrays", "options", "said"), ARRAYS)
def test_mistakes_in_arrays_are_one_line_with_the_name(tmp_path, arrays, options, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=said) as raised:
        read_embedding_file(tmp_path / "a.npz", **options)
    assert str(tmp_path / "a.npz") in str(raised.value)


@pytest.mark.parametrize(("columns", "said"), COLUMNS)
def test_mistakes_in_columns_are_one_line_with_the_name(tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=said) as raised:
        read_embedding_file(tmp_path / "a.parquet")
    assert str(tmp_path / "a.parquet") in str(raised.value)


def test_names_beside_a_file_are_one_a_row(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    (tmp_path / "names.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="has 3 embeddings and 2 names"):
        read_embedding_file(tmp_path / "a.npy", names=tmp_path / "names.txt")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.npy"):
        read_embedding_file(tmp_path / "none.npy")
