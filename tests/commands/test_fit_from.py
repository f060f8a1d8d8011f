"""`fit --from`: what it records, what it refuses, and how it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import unconfound
from unconfound.cli import main
from unconfound.report.facts import run_facts

SMALL: dict[str, Any] = {"epochs": 1, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(40) % 2)
    unconfound.fit("simclr", folder / "images.npz", out=folder / "a", encoder="convnet", width=4, depth=2, **SMALL)
    return folder


def test_a_run_says_what_it_came_from_and_what_that_came_from(home: Path, tmp_path: Path) -> None:
    second = unconfound.fit("supervised", start=str(home / "a"), out=tmp_path / "b", freeze_encoder=True, **SMALL)
    third = unconfound.fit("simclr", start=str(second.run), out=tmp_path / "c", layer_decay=0.5, **SMALL)
    card = json.loads((third.run / "encoder.json").read_text())["provenance"]
    assert card["start"]["from"] == str(second.run)
    assert card["start"]["start"]["from"] == str(home / "a")
    # The encoder was frozen: the weights are still those of the first run.
    assert card["start"]["sha256"] == card["start"]["start"]["sha256"]
    assert card["labels"], "the second run learnt from labels"
    told = run_facts(third.run)["started from"]
    assert told.startswith(
        f"{second.run}, by supervised on images, weights {card['start']['sha256'][:12]}; before that "
    )
    assert f'start = "{home / "a"}"' in (second.run / "config.toml").read_text()
    assert "layer_decay = 0.5" in (third.run / "config.toml").read_text()


def test_it_refuses_what_contradicts_the_run(home: Path, tmp_path: Path) -> None:
    start = str(home / "a")
    for options, message in (
        ({"data_seed": 5}, "--data-seed 5 is another split than that of the run to start from"),
        ({"test_share": 0.5}, "--test-share 0.5 is another split"),
        ({"encoder": "resnet18"}, "is a convnet, not resnet18"),
        ({"pretrained": True}, "--pretrained and --from .* are two ways to start"),
        ({"out": start}, "is the run to start --from|holds another run"),
    ):
        with pytest.raises(ValueError, match=message) as raised:
            unconfound.fit("supervised", start=start, **({"out": tmp_path / "b"} | SMALL | options))
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "b").exists()


def test_weights_that_changed_before_the_first_checkpoint_are_told(home: Path, tmp_path: Path) -> None:
    source = shutil.copytree(home / "a", tmp_path / "a")
    given: dict[str, Any] = {"start": str(source), "out": tmp_path / "b", **SMALL}
    unconfound.fit("supervised", **given)
    shutil.rmtree(tmp_path / "b" / "checkpoint")
    shutil.rmtree(source)
    unconfound.fit("simclr", start=str(home / "a"), out=source, **SMALL)
    with pytest.raises(ValueError, match=r"a has other weights than when .*b began"):
        unconfound.fit("supervised", resume=True, **given)
    unconfound.fit("supervised", overwrite=True, **given)


def test_other_tables_have_the_columns_of_the_run_in_every_command(tmp_path: Path) -> None:
    rows = {"age": range(20, 60), "city": ["north", "south", "east", "west"] * 10, "income": ["high", "low"] * 20}
    pd.DataFrame(rows).to_csv(tmp_path / "first.csv", index=False)
    # Categories of its own, so that its own encoding would have another width.
    other = {"age": range(40, 80), "city": ["north", "south"] * 20, "married": ["yes", "no", "no", "yes"] * 10}
    pd.DataFrame(other).to_csv(tmp_path / "second.csv", index=False)
    unconfound.fit("dacl", tmp_path / "first.csv", label="income", out=tmp_path / "a", width=8, depth=1, **SMALL)
    new: dict[str, Any] = {"start": str(tmp_path / "a"), "label": "married", **SMALL}
    run = unconfound.fit("supervised", tmp_path / "second.csv", out=tmp_path / "b", **new).run
    (evaluation,) = unconfound.evaluate(run)
    assert 0 <= evaluation.tests["test"]["linear_probe"].value <= 1
    assert len(unconfound.embed(run, tmp_path / "second.csv")["train"]) == len(other["age"])
    words = ["--from", str(tmp_path / "a"), "--data", str(tmp_path / "second.csv"), "--label", "married"]
    flags = [
        *words,
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--device",
        "cpu",
        "--seeds",
        "0",
        "--out",
        str(tmp_path / "c"),
    ]
    assert main(["compare", "supervised", *flags]) == 0
    compared = json.loads((tmp_path / "c" / "supervised" / "seed-0" / "encoder.json").read_text())
    assert compared["schema"]["shape"] == json.loads((tmp_path / "a" / "encoder.json").read_text())["schema"]["shape"]
