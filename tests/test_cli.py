"""Every command as a user types it, and every mistake: one line, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import unconfound
from unconfound.cli import main
from unconfound.commands.evaluate import EvaluateArguments, check_split
from unconfound.data.load import DataOptions
from unconfound.recipes import Recipe

TINY = ["--encoder", "convnet", "--width", "4", "--depth", "2", "--precision", "32"]
Mistake = Callable[[list[str], str], str]


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Mistake:
    """Run a command that must fail; return its one line."""

    def run(arguments: list[str], expected: str) -> str:
        assert main(arguments) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
        assert len(lines) == 1
        assert expected in lines[0]
        return lines[0]

    return run


def make_folder(path: Path, *, classes: tuple[str, ...] = ("cat", "dog"), images: int = 12) -> Path:
    random = np.random.default_rng(0)
    for name in classes:
        (path / name).mkdir(parents=True)
        for number in range(images):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / name / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("images") / "pets")


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "a"
    assert main(["fit", "supervised", "--data", str(folder), "--epochs", "2", "--out", str(run), *TINY]) == 0
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "a"))


def test_the_usage_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in ("demo", "fit", "evaluate", "embed", "index", "search", "export", "list"))


def test_list_names_methods_encoders_data_and_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("simclr", "supervised", "random", "resnet18", "cifar10", "simclr/cifar10"))


def test_fit_evaluate_embed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "a"
    assert main(["fit", "simclr", "--data", str(folder), "--epochs", "2", "--out", str(run), *TINY]) == 0
    printed = capsys.readouterr().out
    snippet = "\n".join(line for line in printed.splitlines() if line.startswith(("from", "encoder", "embeddings")))
    space: dict[str, Any] = {"inputs": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)}
    exec(snippet, space)
    assert space["embeddings"].shape == (2, 8)
    files = {path.name for path in run.iterdir()}
    assert files >= {"config.toml", "environment.json", "metrics.csv", "encoder.safetensors", "encoder.json", "log.txt"}

    assert main(["evaluate", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "evaluation.json" in printed
    assert json.loads((run / "evaluation.json").read_text())["evaluations"][0]["name"] == "a"
    assert (run / "report.html").is_file()

    table = tmp_path / "embeddings.parquet"
    assert main(["embed", str(run), str(folder), "--out", str(table)]) == 0
    written = pd.read_parquet(table)
    assert list(written.columns[:4]) == ["split", "index", "name", "label"]
    assert len(written) == 24
    assert set(written["label"]) == {"cat", "dog"}
    array = tmp_path / "embeddings.npy"
    assert main(["embed", str(run), str(folder), "--out", str(array)]) == 0
    np.testing.assert_allclose(np.load(array), np.stack(written["embedding"]), rtol=1e-6)


def test_export(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: Mistake) -> None:
    out = tmp_path / "made" / "encoder.pt2"
    command = ["export", str(finished), "--out", str(out)]
    assert main(command) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["input", "inputs", "uint8", "[batch,", "3,", "16,", "16]"],
        ["output", "embeddings", "float32", "[batch,", "8]"],
        ["output", "logits", "float32", "[batch,", "2]"],
        ["classes", "of", "the", "logits:", "cat,", "dog"],
        ["Next:", f"torch.export.load({str(out)!r}).module()(inputs)"],
    ]
    before = out.read_bytes()
    mistake(command, "is there already: choose another --out, or give --overwrite")
    mistake([*command, "--dtype", "uint16"], "--dtype")
    mistake(["export", str(finished), "--out", str(tmp_path / "encoder.pt")], "must end in .onnx or .pt2")
    mistake(["export", str(tmp_path / "made"), "--out", str(tmp_path / "new.pt2")], "holds no encoder.json")
    assert out.read_bytes() == before
    assert main([*command, "--overwrite", "--no-classifier", "--dtype", "float32"]) == 0
    printed = capsys.readouterr().out
    assert "float32" in printed
    assert "logits" not in printed
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["encoder.pt2", "made"]


def test_several_runs_share_one_report(folder: Path, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "b"
    assert main(["fit", "random", "--data", str(folder), "--out", str(other), *TINY]) == 0
    assert main(["evaluate", str(finished), str(other), "--out", str(tmp_path / "both")]) == 0
    names = [entry["name"] for entry in json.loads((tmp_path / "both" / "evaluation.json").read_text())["evaluations"]]
    assert names == ["a", "b"]


def test_a_table_end_to_end(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    age = random.normal(size=300)
    city = random.choice(["north", "south"], 300)
    income = np.where(age > 0, "high", "low")
    table = tmp_path / "table.csv"
    pd.DataFrame({"age": age, "city": city, "income": income}).to_csv(table, index=False)
    run = tmp_path / "run"
    flags = ["--data", str(table), "--label", "income", "--group", "city", "--out", str(run)]
    assert main(["fit", "supervised", *flags, "--epochs", "3", "--width", "16"]) == 0
    assert main(["evaluate", str(run)]) == 0
    figures = json.loads((run / "evaluation.json").read_text())["evaluations"][0]["tests"]["test"]
    assert figures["linear_probe"]["value"] > 0.8
    assert {"classifier", "worst_group", "worst_group_classifier"} <= figures.keys()
    new = tmp_path / "new.csv"
    pd.DataFrame({"age": age[:9], "city": city[:9]}).to_csv(new, index=False)
    assert main(["embed", str(run), str(new), "--out", str(tmp_path / "new.npy")]) == 0
    assert np.load(tmp_path / "new.npy").shape == (9, 16)
    assert main(["embed", str(run), str(new), "--out", str(tmp_path / "new.parquet")]) == 0
    answers = pd.read_parquet(tmp_path / "new.parquet")
    assert set(answers["prediction"]) <= {"high", "low"}
    assert answers["confidence"].between(0.5, 1).all()


def test_a_run_is_run_again_from_its_configuration(finished: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert main(["fit", "--recipe", str(finished / "config.toml"), "--out", str(again)]) == 0
    assert (again / "config.toml").read_text() == (finished / "config.toml").read_text()
    assert (again / "encoder.safetensors").read_bytes() == (finished / "encoder.safetensors").read_bytes()


def test_a_flag_overrides_a_recipe(finished: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    recipe = ["--recipe", str(finished / "config.toml")]
    assert main(["fit", *recipe, "--epochs", "1", "--out", str(again)]) == 0
    assert "epochs = 1" in (again / "config.toml").read_text()


def test_resuming_a_finished_run_changes_nothing(run: Path) -> None:
    before = (run / "encoder.safetensors").read_bytes()
    assert main(["fit", "--recipe", str(run / "config.toml"), "--out", str(run), "--resume"]) == 0
    assert (run / "encoder.safetensors").read_bytes() == before


def test_masks_bring_the_background_figures(folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    shape = np.zeros((16, 16), np.uint8)
    shape[4:12, 4:12] = 255
    for image in folder.rglob("*.png"):
        target = masks / image.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shape).save(target)
    run = tmp_path / "run"
    data = ["--data", str(folder), "--masks", str(masks)]
    assert main(["fit", "random", *data, "--out", str(run), *TINY]) == 0
    assert main(["evaluate", str(run)]) == 0
    evaluation = json.loads((run / "evaluation.json").read_text())["evaluations"][0]
    assert set(evaluation["tests"]) >= {"original", "mixed-same", "mixed-rand"}
    assert "background_gap" in evaluation["background"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fti"], "unknown command 'fti': did you mean 'fit'?"),
        (["fit", "simclrr"], "unknown method 'simclrr': did you mean 'simclr'?"),
        (["fit"], "fit needs a method"),
        (["fit", "simclr", "--epohcs", "3"], "--epohcs"),
        (["fit", "simclr", "--epochs", "many"], "--epochs"),
        (["fit", "simclr", "--epochs", "0"], "epochs must be at least 1, got 0"),
        (["fit", "simclr", "--temperature", "-1"], "temperature must be above 0, got -1.0"),
        (["fit", "simclr", "--optimizer", "adma"], "Expected one of"),
        (["fit", "simclr", "--recipe", "simclr/cifar100"], "did you mean 'simclr/cifar10'?"),
        (["fit", "supervised", "--recipe", "simclr/cifar10"], "is for simclr, not for supervised"),
        (["fit", "simclr", "--device", "gpu"], "device 'gpu' is not available here"),
        (["fit", "simclr", "--data", "no/such/folder"], "no/such/folder"),
        (["fit", "simclr", "--data", "cifar10"], "data_root"),
        (["fit", "simclr", "--data", "demo", "--encoder", "resnet19"], "resnet18"),
        (["fit", "simclr", "--data", "demo", "--batch-size", "100000"], "batch_size 100000 is more than the"),
        (["fit", "simclr", "--data", "composition"], "--foregrounds"),
        (["evaluate"], "evaluate needs a run folder"),
        (["evaluate", "no/such/run"], "no/such/run is no run folder"),
        (["demo", "--correlation", "1.5"], "correlation must be in [0, 1], got 1.5"),
        (["list", "metods"], "there is no list of 'metods': did you mean 'methods'?"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], expected: str, mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected.replace("data_root", "data") in mistake(arguments, "").replace("data-root", "data_root")
    assert not list(tmp_path.iterdir())


def test_an_empty_folder(tmp_path: Path, mistake: Mistake) -> None:
    (tmp_path / "empty").mkdir()
    mistake(["fit", "simclr", "--data", str(tmp_path / "empty"), "--out", str(tmp_path / "run")], "empty")
    assert not (tmp_path / "run").exists()


def test_an_absent_label_column(tmp_path: Path, mistake: Mistake) -> None:
    table = tmp_path / "table.csv"
    pd.DataFrame({"age": range(20), "income": ["a", "b"] * 10}).to_csv(table, index=False)
    flags = ["--data", str(table), "--label", "incone", "--out", str(tmp_path / "run")]
    mistake(["fit", "supervised", *flags], "income")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_numbers_that_are_none(odd: float, tmp_path: Path, mistake: Mistake) -> None:
    images = np.zeros((20, 3, 16, 16), np.float32)
    images[3, 1, 2, 2] = odd
    np.savez(tmp_path / "images.npz", images=images)
    mistake(["fit", "simclr", "--data", str(tmp_path / "images.npz"), "--out", str(tmp_path / "run")], "images.npz")
    assert not (tmp_path / "run").exists()


def test_ragged_arrays(tmp_path: Path, mistake: Mistake) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros((3, 8, 8)), np.zeros((3, 9, 9))]
    np.save(tmp_path / "images.npy", ragged, allow_pickle=True)
    mistake(["fit", "simclr", "--data", str(tmp_path / "images.npy"), "--out", str(tmp_path / "run")], "images.npy")
    assert not (tmp_path / "run").exists()


def test_wrong_channels_for_the_encoder(finished: Path, tmp_path: Path, mistake: Mistake) -> None:
    np.savez(tmp_path / "grey.npz", images=np.zeros((20, 1, 16, 16), np.uint8))
    out = tmp_path / "embeddings.npy"
    mistake(
        ["embed", str(finished), str(tmp_path / "grey.npz"), "--out", str(out)], "takes images of shape (3, 16, 16)"
    )
    assert not out.exists()


def test_one_class(tmp_path: Path, mistake: Mistake) -> None:
    folder = make_folder(tmp_path / "one", classes=("cat",))
    mistake(["fit", "supervised", "--data", str(folder), "--out", str(tmp_path / "run"), *TINY], "at least two classes")
    assert not (tmp_path / "run").exists()


def test_labels_that_are_not_there(tmp_path: Path, mistake: Mistake) -> None:
    flat = make_folder(tmp_path / "flat", classes=("cat",)) / "cat"
    mistake(["fit", "supervised", "--data", str(flat), "--out", str(tmp_path / "run"), *TINY], "needs at least two")
    assert main(["fit", "simclr", "--data", str(flat), "--epochs", "1", "--out", str(tmp_path / "run"), *TINY]) == 0
    mistake(["evaluate", str(tmp_path / "run")], "labels")


def test_the_folder_of_another_run(run: Path, folder: Path, mistake: Mistake, tmp_path: Path) -> None:
    before = sorted((path, path.read_bytes()) for path in run.rglob("*") if path.is_file())
    same = ["fit", "supervised", "--data", str(folder), "--epochs", "2", "--out", str(run), *TINY]
    mistake(same, "holds another run")
    mistake([*same, "--epochs", "3", "--resume"], "was started with other options")
    mistake(["fit", "simclr", "--data", str(folder), "--out", str(run), "--resume", *TINY], "other options")
    mistake(["fit", "supervised", "--data", "nowhere", "--out", str(run), "--overwrite"], "nowhere")
    assert before == sorted((path, path.read_bytes()) for path in run.rglob("*") if path.is_file())
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("years of work")
    mistake([*same[: -len(TINY) - 1], str(foreign), "--overwrite", *TINY], "holds files but no run")
    assert (foreign / "chapter.tex").read_text() == "years of work"
    assert main([*same, "--overwrite"]) == 0


def test_a_truncated_checkpoint(run: Path, mistake: Mistake) -> None:
    checkpoint = run / "checkpoint" / "state.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    again = ["fit", "--recipe", str(run / "config.toml"), "--out", str(run), "--resume"]
    mistake(again, "is truncated or damaged")


def test_a_checkpoint_of_another_method(run: Path, folder: Path, tmp_path: Path, mistake: Mistake) -> None:
    other = tmp_path / "other"
    assert main(["fit", "simclr", "--data", str(folder), "--epochs", "1", "--out", str(other), *TINY]) == 0
    shutil.copy(other / "checkpoint" / "state.pt", run / "checkpoint" / "state.pt")
    again = ["fit", "--recipe", str(run / "config.toml"), "--out", str(run), "--resume"]
    mistake(again, "is of method 'simclr', not 'supervised'")


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_malicious_checkpoint_is_never_executed(run: Path, tmp_path: Path, mistake: Mistake) -> None:
    target = tmp_path / "executed"
    checkpoint = run / "checkpoint" / "state.pt"
    again = ["fit", "--recipe", str(run / "config.toml"), "--out", str(run), "--resume"]
    torch.save({"state": Payload(target)}, checkpoint)
    mistake(again, "was not executed")
    checkpoint.write_bytes(pickle.dumps(Payload(target)))
    mistake(again, "start anew with --overwrite")
    assert not target.exists()


def test_a_full_disk(folder: Path, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    run = tmp_path / "run"
    flags = ["--data", str(folder), "--epochs", "1", "--out", str(run), *TINY]
    mistake(["fit", "simclr", *flags], "free some space, then go on with the same command and --resume")
    assert not list(run.rglob("*.partial"))
    assert not (run / "encoder.json").exists()
    monkeypatch.undo()
    assert main(["fit", "simclr", *flags, "--resume"]) == 0


@pytest.mark.parametrize(
    ("trained", "asked", "message"),
    [
        ({"held_out": "photo"}, {"held_out": "sketch"}, "--held-out sketch is another split than the run's (photo)"),
        (
            {"data": "domains", "validation_domain": "photo"},
            {"validation_domain": None},
            "--validation-domain None is another split than the run's (photo)",
        ),
        ({"validation_share": 0.2}, {"train_samples": 9}, "--train-samples 9 is another split than the run's (None)"),
        ({"unseen_classes": True, "fold": 0}, {"fold": 1}, "--fold 1 is another split than the run's (0)"),
        ({}, {"train_samples": 9}, ""),
    ],
)
def test_samples_that_were_trained_on_are_not_judged_on(
    trained: dict[str, object], asked: dict[str, Any], message: str
) -> None:
    recipe = Recipe("run", "supervised", {"data": {"data": "demo", **trained}})
    given = EvaluateArguments(runs=(), data=DataOptions(**({"data": "demo", **trained, **asked})))
    with pytest.raises(ValueError, match=re.escape(message)) if message else nullcontext():
        check_split(given, recipe, stated=True)


def test_another_split_is_no_test(finished: Path, mistake: Mistake) -> None:
    mistake(["evaluate", str(finished), "--test-share", "0.5"], "is another split than the run's (0.2)")
    mistake(["evaluate", str(finished), "--validation-share", "0.1"], "is another split than the run's (0.0)")


def test_a_run_from_python_needs_its_data_named(folder: Path, tmp_path: Path, mistake: Mistake) -> None:
    dataset = unconfound.load(unconfound.DataOptions(data=str(folder)))
    encoder = unconfound.build_encoder("convnet", dataset.train.schema, width=4, depth=2)
    training = unconfound.TrainingOptions(epochs=1)
    unconfound.fit(unconfound.SimCLR(encoder, dataset.train.schema), dataset, out=tmp_path / "run", training=training)
    mistake(["evaluate", str(tmp_path / "run")], "give --data, or use unconfound.audit")
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder)]) == 0


def test_a_recipe_with_an_unknown_key(tmp_path: Path, mistake: Mistake) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('method = "simclr"\n[options]\ntemprature = 0.2\n')
    mistake(["fit", "--recipe", str(recipe)], "unknown key 'temprature' in [options]: did you mean 'temperature'?")
    recipe.write_text('method = "simclr"\n[trainign]\nepochs = 2\n')
    mistake(["fit", "--recipe", str(recipe)], "unknown section 'trainign'")
    recipe.write_text("method = ")
    mistake(["fit", "--recipe", str(recipe)], "is not TOML")


def test_a_damaged_encoder(run: Path, folder: Path, tmp_path: Path, mistake: Mistake) -> None:
    (run / "encoder.safetensors").write_bytes(b"\0" * 10)
    mistake(["embed", str(run), str(folder), "--out", str(tmp_path / "out.npy")], "encoder.safetensors is damaged")
    (run / "encoder.json").unlink()
    mistake(["evaluate", str(run)], "holds no encoder.json")
