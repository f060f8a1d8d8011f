"""What `unconfound embed` writes, beside what `unconfound index` holds of the same data."""

from __future__ import annotations

import itertools
import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from data.pictures import picture
from retrieval.conftest import SIZE, save_run

from unconfound.cli import main
from unconfound.commands.embed import embed
from unconfound.commands.index import index
from unconfound.commands.search import search
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.load import DataOptions
from unconfound.evaluation import embedding_parts
from unconfound.evaluation.embed_to_file import WrittenEmbeddings
from unconfound.fit_parsing import parse_fit
from unconfound.recipes import read_recipe
from unconfound.retrieval import data_splits as splits
from unconfound.training.stop import StopRequest


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
    assert embedded == WrittenEmbeddings(out, {"train": 8, "validation": 8, "test": 8}, 16)
    indexed = index(run, "waterbirds", out=tmp_path / "index", data_root=birds)
    if suffix == ".npy":
        written = np.load(out)
    else:
        table = pd.read_parquet(out)
        assert list(table["split"]) == ["train"] * 8 + ["validation"] * 8 + ["test"] * 8
        assert list(table["index"]) == [*range(8)] * 3
        assert list(table["split"]) == indexed.items["split"].to_pylist()
        written = np.stack(table["embedding"])
    unit = written / np.linalg.norm(written, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, np.concatenate(indexed.shards), atol=1e-6)


def test_two_splits_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource("birds", Schema("tables", (2,)), torch.zeros(3, 2))
    dataset = Dataset(source, {"validation": source}, validation=source)
    monkeypatch.setattr(splits, "load_dataset", lambda *_, **__: dataset)
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


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """30 rows, of which 2 batches of 8 are a part."""
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32))
    return path


@pytest.fixture
def rows_run(tmp_path: Path) -> Path:
    return save_run(tmp_path / "rows", schema=Schema("tables", (5,)), restore={"kind": "rows", "features": 5})


def test_stopped_as_asked_it_says_so_and_goes_on(
    tmp_path: Path, table: Path, rows_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedding_parts, "PART_BATCHES", 2)
    out = tmp_path / "out.parquet"
    words = ["embed", str(rows_run), str(table), "--batch-size", "8", "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "whole.parquet")]) == 0
    asked = itertools.count(1)
    with monkeypatch.context() as patch:
        # As if Ctrl-C came in the third batch, the first of the second part.
        patch.setattr(
            StopRequest,
            "requested",
            raising=False,
            value=property(lambda self: next(asked) == 3, lambda self, value: None),
        )
        assert main([*words, str(out)]) == 128 + signal.SIGTERM
    said = capsys.readouterr().err
    assert re.search(r"stopped after \d+ s as asked; go on with the same command and --resume", said)
    assert not out.exists()
    assert {each.name for each in (tmp_path / "out.parquet.parts").iterdir()} == {"embedding.json", "part-000000.npy"}
    assert main([*words, str(out)]) == 2
    assert "give --resume or --overwrite" in capsys.readouterr().err
    assert main([*words, str(out), "--batch-size", "4", "--resume"]) == 2
    assert "was started with batch size 8, not 4: resume with the same run" in capsys.readouterr().err
    np.save(table, np.zeros((30, 5), np.float32))
    assert main([*words, str(out), "--resume"]) == 2
    assert "was started with another contents of the data: resume" in capsys.readouterr().err
    np.save(table, np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32))
    assert main([*words, str(out), "--resume"]) == 0
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(each.name for each in tmp_path.glob("out*")) == ["out.parquet"]


def test_how_images_are_read_is_passed_on(
    tmp_path: Path, table: Path, rows_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[DataOptions] = []
    load = splits.load_dataset
    monkeypatch.setattr(splits, "load_dataset", lambda data, **named: seen.append(data) or load(data, **named))
    embed(rows_run, table, workers=0, memory_gib=1.5)
    made = index(rows_run, table, out=tmp_path / "index", workers=0, memory_gib=1.5)
    search(made, table, workers=0, memory_gib=1.5)
    assert [(each.workers, each.memory_gib) for each in seen] == [(0, 1.5)] * 3
    with pytest.raises(TypeError, match="worker"):
        embed(rows_run, table, worker=0)
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        embed(rows_run, table, workers=-1)
