"""What `unconfound embed` writes, beside what `unconfound index` holds of the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from data.pictures import picture
from retrieval.conftest import SIZE, save_run

from unconfound.commands.embed import embed
from unconfound.commands.index import index
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.fit_parsing import parse_fit
from unconfound.recipes import read_recipe
from unconfound.retrieval import data_splits as splits


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published layout of Waterbirds: a table says which images are for training, for choosing and for testing."""
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for number in range(24):
        picture(tmp_path / "birds" / f"bird/{number:02}.jpg", 10 + 10 * number, shape=(SIZE, SIZE))
        lines.append(f"{number},bird/{number:02}.jpg,{number % 2},{number // 8},{number // 2 % 2},sea.jpg")
    (tmp_path / "birds" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "birds"


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_embed_takes_every_split_as_index_does(tmp_path: Path, birds: Path, suffix: str) -> None:
    run, out = save_run(tmp_path / "run"), tmp_path / f"embeddings{suffix}"
    embedded = embed(run, "waterbirds", data_root=birds, out=out)
    assert {split: len(each) for split, each in embedded.items()} == {"train": 8, "validation": 8, "test": 8}
    indexed = index(run, "waterbirds", out=tmp_path / "index", data_root=birds)
    if suffix == ".npy":
        written = np.load(out)
    else:
        table = pd.read_parquet(out)
        assert list(table["split"]) == ["train"] * 8 + ["validation"] * 8 + ["test"] * 8
        assert list(table["index"]) == [*range(8)] * 3
        assert list(table["split"]) == indexed.items["split"].to_pylist()
        written = table.filter(like="embedding_").to_numpy()
    unit = written / np.linalg.norm(written, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, np.concatenate(indexed.shards), atol=1e-6)


def test_two_splits_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource("birds", Schema("tables", (2,)), torch.zeros(3, 2))
    dataset = Dataset(source, {"validation": source}, validation=source)
    monkeypatch.setattr(splits, "load", lambda *_, **__: dataset)
    run = save_run(tmp_path / "run", schema=source.schema, restore={"kind": "table"})
    with pytest.raises(ValueError, match="a test set called 'validation'"):
        embed(run, "birds", out=tmp_path / "out.npy")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('epochs = "ten"', r"epochs in \[training\] must be a whole number, got 'ten'"),
        ("epochs = [1, 2]", r"epochs in \[training\] must be a whole number, got \[1, 2\]"),
        ("epochs = 1979-05-27", r"epochs in \[training\] must be a whole number, got datetime"),
        ("epochs = 0", "epochs must be at least 1, got 0"),
        ("epoch = 1", r"unknown key 'epoch' in \[training\]"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said_with_its_name(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(f'method = "simclr"\n[training]\n{line}\n')
    with pytest.raises(ValueError, match=rf"^recipe .*mine\.toml: {said}") as told:
        parse_fit([], method=None, recipe=read_recipe(str(tmp_path / "mine.toml")))
    assert "\n" not in str(told.value)


def test_what_is_wrong_in_the_users_words_is_not_blamed_on_the_recipe() -> None:
    with pytest.raises(ValueError, match=r"^--epochs takes a whole number, got 'ten'"):
        parse_fit(["--epochs", "ten"], method=None, recipe=read_recipe("simclr/demo"))


def test_what_a_recipe_leaves_open_is_filled_in_by_the_user(tmp_path: Path) -> None:
    """A recipe need not stand alone: here its fold is one of the classes that the user's words divide."""
    (tmp_path / "mine.toml").write_text('method = "simclr"\n[data]\nfold = 0\n')
    _, given = parse_fit(["--unseen-classes"], method=None, recipe=read_recipe(str(tmp_path / "mine.toml")))
    assert (given.data.fold, given.data.unseen_classes) == (0, True)
