"""One call trains, and what it returns is evaluated and embedded: functions of the commands' names do what they do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from comparison.runs import write_table

import unconfound
from unconfound.data import Dataset


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "table.csv")


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "a"
    fitted = unconfound.fit(
        "supervised", data=table, out=out, label="income", epochs=1, batch_size=32, width=8, depth=1, device="cpu"
    )
    assert fitted.run == out
    return out


def test_one_call_trains_and_what_comes_of_it_is_evaluated_and_embedded(table: Path, run: Path, tmp_path: Path) -> None:
    (evaluation,) = unconfound.evaluate(run, out=tmp_path / "figures")
    assert (tmp_path / "figures" / "report.html").is_file()
    assert 0 <= evaluation.tests["test"]["linear_probe"].value <= 1
    embedded = unconfound.embed(run, table, out=tmp_path / "embeddings.parquet")
    rows = pd.read_parquet(tmp_path / "embeddings.parquet")
    assert (len(embedded), embedded.path) == (len(rows), tmp_path / "embeddings.parquet")
    in_memory = torch.cat([each.features for each in unconfound.embed(run, table).values()])
    np.testing.assert_allclose(in_memory.numpy(), np.stack(rows["embedding"]), atol=1e-6)
    exported = unconfound.export(run, tmp_path / "encoder.pt2")
    assert exported.input.name == "inputs"


def test_a_call_gives_what_the_command_gives(table: Path, run: Path, tmp_path: Path) -> None:
    from unconfound.cli import main

    words = ["--label", "income", "--epochs", "1", "--batch-size", "32", "--width", "8", "--depth", "1"]
    out = tmp_path / "b"
    assert main(["fit", "supervised", "--data", str(table), *words, "--device", "cpu", "--out", str(out)]) == 0
    assert (out / "config.toml").read_text() == (run / "config.toml").read_text()
    ours, theirs = (unconfound.load_encoder(each).state_dict() for each in (run, out))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_data_in_memory_and_a_method_by_name(table: Path, tmp_path: Path) -> None:
    dataset = unconfound.load(table, label="income")
    assert isinstance(dataset, Dataset)
    fitted = unconfound.fit("random", dataset, out=tmp_path / "a", width=8, depth=1, device="cpu")
    (evaluation,) = unconfound.evaluate(fitted.run, dataset, out=tmp_path / "figures")
    assert "linear_probe" in evaluation.tests["test"]


def test_a_recipe_and_options(table: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('method = "random"\n[data]\nlabel = "income"\n[encoder]\nwidth = 8\ndepth = 1\n')
    fitted = unconfound.fit("random", table, out=tmp_path / "a", recipe=str(recipe), width=4)
    assert fitted.encoder.features == 4


def test_mistakes_are_refused_before_anything_is_written(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "never"
    with pytest.raises(ValueError, match="epoch"):
        unconfound.fit("simclr", table, out=out, epoch=3)
    with pytest.raises(ValueError, match="unknown method"):
        unconfound.fit("simclear", table, out=out)
    with pytest.raises(TypeError, match="by name"):
        unconfound.fit("simclr", table, out=out, training=unconfound.TrainingOptions())
    dataset = unconfound.load(table, label="income")
    encoder = unconfound.build_encoder("mlp", dataset.train.schema, width=8, depth=1)
    method = unconfound.Supervised(encoder, dataset.train.schema)
    with pytest.raises(TypeError, match="Dataset"):
        unconfound.fit(method, table, out=out)
    with pytest.raises(TypeError, match="epochs"):
        unconfound.fit(method, dataset, out=out, epochs=3)
    with pytest.raises(TypeError, match="label"):
        unconfound.evaluate({"rows": torch.nn.Identity()}, dataset, out=out, label="income")
    assert not out.exists()


def test_every_name_at_the_top_is_there() -> None:
    for name in unconfound.__all__:
        assert getattr(unconfound, name) is not None
