from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.evaluation.embedding_files import EmbeddingFile
from unconfound.evaluation.joined_embeddings import join_embeddings

SCHEMA = Schema("tables", (1,), classes=("a", "b"))


def source(names, name="data"):
    rows = torch.zeros(len(names), 1)
    return MemorySource(name, SCHEMA, rows, torch.arange(len(names)) % 2, names=names)


def file(names, splits=None):
    return EmbeddingFile(Path("e.npz"), torch.arange(len(names))[:, None].float(), names=names, splits=splits)


TRAIN, TEST = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"], ["cat/3.jpg", "dog/3.jpg"]


@pytest.fixture
def data():
    train = source(TRAIN)
    tests = {name: source(TEST, name) for name in ("original", "mixed-same", "mixed-rand")}
    return Dataset(train, tests, labelled=train)


def rows(joined, name="it"):
    return {key: each.flatten().int().tolist() for key, each in joined.encoders[name].sets.items()}


@pytest.mark.parametrize(
    "written",
    [
        lambda name: name,
        lambda name: f"/data/pictures/{name}",
        lambda name: "pictures\\" + name.replace("/", "\\"),
        lambda name: f"elsewhere/{name.replace('.jpg', '.png')}",
        lambda name: name.replace(".jpg", ""),
    ],
)
def test_rows_join_by_name_in_any_order_and_below_any_folder(data, written):
    order = [TEST[1], TRAIN[2], TRAIN[0], TEST[0], TRAIN[1]]
    joined = join_embeddings({"it": file([written(name) for name in order])}, data)
    assert rows(joined) == {"train": [2, 4, 1], "original": [3, 0]}
    # Nothing of other backgrounds is there, and nothing is measured of them.
    assert joined.encoders["it"].notes == ()


@pytest.mark.parametrize("as_folders", [True, False])
def test_rows_of_other_backgrounds_join_by_their_split_or_folder(data, as_folders):
    sets = ["train"] * 3 + ["original"] * 2 + ["mixed-same"] * 2 + ["mixed-rand"] * 2 + ["train-exchanged"] * 3
    names = [*TRAIN, *TEST, *TEST, *TEST, *TRAIN]
    if as_folders:
        given = file([f"/w/{part}/{name.replace('.jpg', '.png')}" for part, name in zip(sets, names, strict=True)])
    else:
        given = file(names, sets)
    assert rows(join_embeddings({"it": given}, data)) == {
        "train": [0, 1, 2],
        "original": [3, 4],
        "mixed-same": [5, 6],
        "mixed-rand": [7, 8],
        "train-exchanged": [9, 10, 11],
    }


def test_samples_without_an_embedding_are_left_out_for_all_and_said(data):
    whole = file([*TRAIN, *TEST, *TEST], ["train"] * 3 + ["test"] * 2 + ["mixed-rand"] * 2)
    part = file(["dog/1.jpg", "cat/1.jpg", "dog/3.jpg", "bird/9.jpg"])
    joined = join_embeddings({"whole": whole, "part": part}, data)
    assert (joined.dataset.train.names, joined.dataset.tests["original"].names) == (
        ["cat/1.jpg", "dog/1.jpg"],
        ["dog/3.jpg"],
    )
    assert len(joined.dataset.tests["mixed-rand"]) == 1
    assert rows(joined, "whole") == {"train": [0, 2], "original": [4], "mixed-rand": [6]}
    assert rows(joined, "part") == {"train": [1, 0], "original": [2]}
    assert joined.encoders["part"].notes == (
        "1 of the 3 samples of train have no embedding in e.npz and are left out: cat/2.jpg",
        "1 of the 2 samples of original have no embedding in e.npz and are left out: cat/3.jpg",
        "1 of the 4 rows of e.npz are of no sample of the data: bird/9.jpg",
    )


def test_exchanged_training_samples_of_a_part_are_not_used(data):
    names = [*TRAIN[:2], *TEST, *TRAIN[:2]]
    joined = join_embeddings({"it": file(names, ["train"] * 2 + ["test"] * 2 + ["train-exchanged"] * 2)}, data)
    assert rows(joined) == {"train": [0, 1], "original": [2, 3]}


def test_samples_without_names_join_by_their_place_in_a_set(data):
    train, test = source(TRAIN), source(TEST)
    train.names = test.names = None
    bare = Dataset(train, {"test": test}, labelled=train)
    given = file(["1", "0", "0", "2", "1"], ["test", "train", "test", "train", "train"])
    assert rows(join_embeddings({"it": given}, bare)) == {"train": [1, 4, 3], "test": [2, 0]}
    folders = file(["train/0.png", "train/1.png", "train/2.png", "original/0.png", "original/1.png"])
    assert rows(join_embeddings({"it": folders}, bare)) == {"train": [0, 1, 2], "test": [3, 4]}


def test_names_that_do_not_join_are_shown_on_both_sides(data):
    with pytest.raises(
        ValueError,
        match=r"none of the 4 rows of e.npz has the name of a sample: it has x, y, z, ..., the data have cat/1.jpg, ",
    ):
        join_embeddings({"it": file(["x", "y", "z", "w"])}, data)
    with pytest.raises(ValueError, match=r"embeddings of none of the 3 training samples \(cat/1.jpg, cat/2.jpg, dog"):
        join_embeddings({"it": file(TEST)}, data)
    with pytest.raises(ValueError, match=r"several rows for the sample cat/1.jpg"):
        join_embeddings({"it": file([*TRAIN, "cat/1.jpg"])}, data)
    with pytest.raises(ValueError, match=r"names no samples.*--names FILE"):
        join_embeddings({"it": EmbeddingFile(Path("e.npy"), torch.zeros(3, 1))}, data)
    with pytest.raises(ValueError, match="data has no labels"):
        join_embeddings({"it": file(TRAIN)}, Dataset(data.train, data.tests))
