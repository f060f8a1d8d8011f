"""Devices and precisions: one vocabulary and one refusal for every function and command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import unconfound
from unconfound.cli import main
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.devices import autocast, choose_device, choose_precision
from unconfound.evaluation import Judging, embed, evaluate
from unconfound.evaluation.morph_figures import morph_figures
from unconfound.training import TrainingOptions

ROWS = MemorySource("rows", Schema("tables", (4,), ("a", "b")), torch.rand(24, 4), torch.arange(24) % 2)
DATA = Dataset(ROWS, {}, labelled=ROWS)
# Each with a device and a precision; none gets as far as to miss its files.
FUNCTIONS: dict[str, Any] = {
    "embed": lambda **said: embed(nn.Identity(), DATA.train, **said),
    "evaluate": lambda **said: evaluate(nn.Identity(), DATA, name="rows", judging=Judging(folds=3, repeats=1, **said)),
    "audit": lambda **said: unconfound.audit({"rows": nn.Identity()}, DATA, out="never", judging=Judging(**said)),
    "index": lambda **said: unconfound.index("run", "data", out="never", **said),
    "search": lambda **said: unconfound.search("index", "query", **said),
}
COMMANDS = {
    "fit": "fit random --data demo --out never",
    "demo": "demo --out never",
    "embed": "embed run data --out never.npy",
    "evaluate": "evaluate run",
    "index": "index run data --out never",
    "search": "search index query",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_refuses_the_same_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="device 'gpu' is not available here: use auto"):
        FUNCTIONS[name](device="gpu")
    with pytest.raises(ValueError, match="unknown precision 'bf16-mixed': use one of auto, 32, bf16, 16"):
        FUNCTIONS[name](device="cpu", precision="bf16-mixed")


@pytest.mark.parametrize("name", ["embed", "evaluate"])
@pytest.mark.parametrize("precision", ["auto", "32", "bf16", "16"])
def test_functions_take_every_word(name: str, precision: str) -> None:
    FUNCTIONS[name](device="cpu", precision=precision)
    FUNCTIONS[name](device=torch.device("cpu"), precision=precision)


def test_words_for_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto") == expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cuda"
    assert choose_device("cuda:1") == choose_device(torch.device("cuda", 1)) == "cuda:1"
    with pytest.raises(
        ValueError, match="device 'cuda:2' is not available here: use auto, cpu, cuda, cuda:0 or cuda:1"
    ):
        choose_device("cuda:2")


@pytest.mark.parametrize(("gains", "expected"), [(True, "bf16"), (False, "32")])
def test_auto_takes_bfloat16_only_where_the_hardware_gains(
    gains: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unconfound.devices._has_amx", lambda: gains)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: gains)
    assert choose_precision("auto", "cpu") == choose_precision("auto", "cuda:1") == expected
    assert [choose_precision(each, "cpu") for each in ("32", "bf16", "16")] == ["32", "bf16", "16"]
    assert choose_precision("auto", "mps") == "32"


def test_half_precision_holds_within_its_context() -> None:
    rows = torch.rand(2, 4)
    for word, kind in (("32", torch.float32), ("bf16", torch.bfloat16), ("16", torch.float16)):
        with autocast("cpu", choose_precision(word, "cpu")):
            assert (rows @ rows.T).dtype == kind


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*COMMANDS[name].split(), "--precision", "bf16-mixed"]) == 2
    told = capsys.readouterr().err
    assert "--precision" in told
    assert all(word in told for word in ("auto", "32", "bf16", "16"))
    assert not list(tmp_path.iterdir())


def test_options_take_the_same_words() -> None:
    for precision in ("auto", "32", "bf16", "16"):
        TrainingOptions(precision=precision, device="cuda:1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown precision"):
        TrainingOptions(precision="bf16-mixed")  # type: ignore[arg-type]


def test_morphs_take_them_too() -> None:
    assert morph_figures(nn.Identity(), DATA.train, device="auto", precision="auto") == {}
