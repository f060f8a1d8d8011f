"""The demo on few images, with what it promises: five runs, a page, and a demo that was stopped goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import unconfound.data.load
import unconfound.report.audit
from unconfound.cli import main
from unconfound.evaluation.figures import read_evaluation

NAMES = ["random", "simclr", "label-free", "supervised", "mended"]


def test_five_encoders_stand_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_dataset = unconfound.data.load.load_dataset

    def few(options: Any) -> Any:
        return load_dataset(replace(options, train_samples=200, test_samples=60))

    monkeypatch.setattr(unconfound.data.load, "load_dataset", few)
    words = ["demo", "--out", str(tmp_path), "--epochs", "1", "--batch-size", "100", "--device", "cpu"]
    assert main(words) == 0
    evaluations = read_evaluation(tmp_path / "evaluation.json")
    assert [each.name for each in evaluations] == NAMES
    assert all((tmp_path / name / "encoder.safetensors").is_file() for name in NAMES)
    assert ["classifier" in each.tests["mixed-rand"] for each in evaluations] == [False, False, False, True, True]
    assert all("exchanged_probe" in each.tests["mixed-rand"] for each in evaluations)
    page = (tmp_path / "report.html").read_text()
    assert page.index('id="gap"') < page.index('id="results"')
    printed = capsys.readouterr().out
    assert str(tmp_path / "report.html") in printed
    assert "--masks estimate --exchange 1" in printed
    assert main(words) == 2
    assert "give --resume or --overwrite" in capsys.readouterr().err.replace("or give", "give")
    before = (tmp_path / "mended" / "classifier.safetensors").read_bytes()
    (tmp_path / "mended" / "encoder.json").unlink()
    # The page is written last, and takes longest.
    monkeypatch.setattr(unconfound.report.audit, "audit_encoders", lambda encoders, *_, **__: list(encoders))
    assert unconfound.demo(tmp_path, epochs=1, batch_size=100, device="cpu", resume=True) == NAMES
    assert (tmp_path / "mended" / "classifier.safetensors").read_bytes() == before
