"""Recipes x seeds: one resumable run, every mistake one line, every failure in the table and not fatal."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import unconfound
import unconfound.comparison.cell
from comparison.runs import words, write_table
from unconfound.cli import main
from unconfound.recipes import Recipe, list_recipes
from unconfound.training import Fitted, TrainingStopped

Mistake = Callable[[list[str], str], None]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "table.csv")


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that ran through."""
    out = tmp_path_factory.mktemp("finished") / "compare"
    assert main(words(table, out, "random", "supervised")) == 0
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A finished comparison that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "compare"))


def figures(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "comparison.csv").drop(columns=["training_seconds", "evaluation_seconds"])


def test_every_cell_is_a_run_folder_whose_figures_the_tables_hold(finished: Path, tmp_path: Path) -> None:
    cells = pd.read_csv(finished / "comparison.csv")
    assert list(cells.columns[:7]) == ["row", "seed", "test", "metric", "value", "low", "high"]
    assert list(cells.drop_duplicates("run")["run"]) == [
        f"{row}/seed-{seed}" for row in ("random", "supervised") for seed in (0, 1)
    ]
    for run, rows in cells.groupby("run"):
        (found,) = json.loads((finished / str(run) / "evaluation.json").read_text())["evaluations"]
        held = {(row.test, row.metric): row.value for row in rows.itertuples()}
        assert held == {("test", metric): figure["value"] for metric, figure in found["tests"]["test"].items()}
    run = Path(shutil.copytree(finished / "supervised/seed-1", tmp_path / "run"))
    assert main(["evaluate", str(run)]) == 0
    (again,) = json.loads((run / "evaluation.json").read_text())["evaluations"]
    (before,) = json.loads((finished / "supervised/seed-1/evaluation.json").read_text())["evaluations"]
    assert again["tests"] == before["tests"]
    again_flags = ["fit", "--recipe", str(run / "config.toml"), "--out", str(tmp_path / "again")]
    assert main(again_flags) == 0
    encoders = [(folder / "encoder.safetensors").read_bytes() for folder in (run, tmp_path / "again")]
    assert encoders[0] == encoders[1]
    assert {path.name for path in finished.iterdir()} == {
        *("comparison.csv", "comparison.md", "comparison.toml", "report.html", "summary.csv", "random", "supervised")
    }


def test_what_is_done_is_not_run_again(
    table: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unwanted(*_: Any, **__: Any) -> None:
        raise AssertionError("a cell was run again, or the data were read")

    before = (copied / "comparison.csv").read_text()
    for name in ("fit_run", "evaluate", "load"):
        monkeypatch.setattr(unconfound.comparison.cell, name, unwanted)
    again = [*words(table, copied, "random", "supervised"), "--resume"]
    assert main(again) == 0
    assert (copied / "comparison.csv").read_text() == before
    assert "supervised" in capsys.readouterr().out


def test_a_cell_that_was_judged_otherwise_is_judged_anew_but_not_trained(
    table: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = figures(copied)
    assert main(["evaluate", str(copied / "random/seed-0"), "--neighbours", "1"]) == 0
    (copied / "supervised/seed-1/evaluation.json").write_text("{")
    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", None)
    assert main([*words(table, copied, "random", "supervised"), "--resume"]) == 0
    pd.testing.assert_frame_equal(figures(copied), before)


def test_seeds_and_rows_are_added_and_data_are_read_once(
    table: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, loaded = [], []
    fit_run, load = unconfound.comparison.cell.fit_run, unconfound.comparison.cell.load
    monkeypatch.setattr(
        unconfound.comparison.cell, "fit_run", lambda *a, **k: fitted.append(a[1].out.name) or fit_run(*a, **k)
    )
    monkeypatch.setattr(unconfound.comparison.cell, "load", lambda options: loaded.append(options) or load(options))
    more = words(table, copied, "random", "supervised", "wide=supervised")
    more[more.index("--seeds") + 2] = "2"
    assert main([*more, "--resume"]) == 0
    assert fitted == ["seed-2", "seed-2", "seed-0", "seed-2"]
    assert len(loaded) == 1
    summary = pd.read_csv(copied / "summary.csv")
    assert set(summary["seeds"]) == {2}
    probed = summary[summary["metric"] == "linear_probe"]
    assert list(probed["row"]) == ["random", "supervised", "wide"]


def test_a_stopped_comparison_leaves_what_it_has(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path
) -> None:
    fit_run = unconfound.comparison.cell.fit_run

    def stopping(method: str, arguments: Any, **keywords: Any) -> Fitted:
        if method == "supervised":
            raise TrainingStopped("as asked", signal.SIGTERM)
        return fit_run(method, arguments, **keywords)

    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", stopping)
    out = tmp_path / "compare"
    assert main(words(table, out, "random", "supervised")) == 143
    cells = figures(out)
    assert list(cells.drop_duplicates("run")["status"]) == ["done", "done", "waiting", "waiting"]
    assert "still to come: supervised, seed 0; supervised, seed 1" in (out / "comparison.md").read_text()
    monkeypatch.undo()
    assert main([*words(table, out, "random", "supervised"), "--resume"]) == 0
    pd.testing.assert_frame_equal(figures(out), figures(finished))


def test_a_failed_cell_is_reported_and_not_fatal(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: Mistake
) -> None:
    out = tmp_path / "compare"
    assert main(words(table, out, "random", "simclr")) == 0
    printed = capsys.readouterr().out
    assert "2 of 4 cells failed" in printed
    cells = figures(out)
    assert list(cells[cells["row"] == "simclr"]["status"]) == ["failed", "failed"]
    assert set(cells[cells["row"] == "random"]["status"]) == {"done"}
    reason = cells[cells["row"] == "simclr"]["error"].iloc[0]
    assert "the data are tables" in reason
    for name in ("comparison.md", "report.html"):
        assert f"failed: simclr, seed 1: {reason}" in (out / name).read_text()
    assert "Traceback" in (out / "log.txt").read_text()
    again = [*words(table, out, "random", "simclr"), "--resume"]
    assert main(again) == 0
    assert (out / "log.txt").read_text().count("Traceback") == 4
    mistake(words(table, tmp_path / "none", "simclr"), "all 2 cells failed, the first with: simclr makes its views")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "compare needs recipes"),
        (["random", "simclrr"], "no method, recipe, comparison or file 'simclrr': did you mean 'simclr'?"),
        (["random", "simclr", "--baseline", "randm"], "baseline 'randm' is no row: did you mean 'random'?"),
        (["simclr/demo", "simclr"], "two rows are called 'simclr': name one of them, as in other=simclr"),
        (["a/b=simclr"], "row 'a/b' cannot name a folder"),
        (["compare/demo", "simclr"], "compare/demo is a whole comparison: give it alone"),
        (["random", "--seed", "3"], "compare takes --seeds 0 1 2, not --seed"),
        (["random", "--seeds", "1", "1"], "seeds must be different numbers"),
        (["random", "--seeds", "x"], "--seeds"),
        (["random", "--metric", "linear"], "unknown metric 'linear': did you mean 'linear_probe'?"),
        (["random", "simclr", "--temperature", "0.1"], "row random: "),
        (["random", "--data", "no/such/folder"], "no/such/folder"),
        (["random", "--device", "gpu"], "device 'gpu' is not available here"),
        (["random", "--resume", "--overwrite"], "give one of them"),
        (["random", "--jobs", "0"], "jobs must be at least 1, got 0"),
        (["random", "--select", "oracel"], "cannot choose by 'oracel': did you mean 'oracle'?"),
        (["random", "--over", "correlation"], "--over takes KEY=VALUE,VALUE as in correlation=0.9,0.95"),
        (
            ["random", "--over", "corelation=0.9"],
            "unknown data option 'corelation' in [over]: did you mean 'correlation'?",
        ),
        (["random", "--over", "correlation=0.9,2"], "correlation must be in [0, 1], got 2.0"),
        (["random", "--over", "correlation=0.9,x"], "--correlation"),
        (["random", "--over", "correlation=0.9,0.90"], "two settings are called 'correlation 0.9'"),
        (["random", "--over", "correlation=0.9", "correlation=1"], "--over has correlation twice"),
        (["random", "--over", "rows=yes"], "an option that is on or off takes true or false, got 'yes'"),
        (["random", "--over", "correlation=0.9", "--correlation", "1"], "--correlation is what the settings differ in"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    arguments: list[str], expected: str, mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mistake(["compare", *arguments], expected)
    assert not list(tmp_path.iterdir())


def test_the_folder_of_another_comparison(table: Path, copied: Path, mistake: Mistake, tmp_path: Path) -> None:
    before = sorted((path, path.read_bytes()) for path in copied.rglob("*") if path.is_file())
    same = words(table, copied, "random", "supervised")
    mistake(same, "holds another comparison")
    mistake([*same, "--weight-decay", "1", "--resume"], "was started with other options (weight_decay = 0.0001")
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("years of work")
    mistake([*words(table, foreign, "random"), "--overwrite"], "holds files but no comparison")
    assert before == sorted((path, path.read_bytes()) for path in copied.rglob("*") if path.is_file())
    (copied / "notes.txt").write_text("mine")
    assert main([*words(table, copied, "random"), "--weight-decay", "1", "--overwrite"]) == 0
    assert not list(copied.glob("supervised/*"))
    assert (copied / "notes.txt").read_text() == "mine"


def test_torchrun_is_refused(mistake: Mistake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    mistake(["compare", "random", "--out", str(tmp_path / "out")], "start it without torchrun")


def test_comparison_toml_does_the_same_again(table: Path, finished: Path, tmp_path: Path) -> None:
    assert main(["compare", str(finished / "comparison.toml"), "--out", str(tmp_path / "again")]) == 0
    for run in finished.glob("*/seed-*"):
        again = tmp_path / "again" / run.relative_to(finished)
        assert (again / "config.toml").read_text() == (run / "config.toml").read_text()
    pd.testing.assert_frame_equal(figures(tmp_path / "again"), figures(finished))


def test_a_function_does_what_the_command_does(table: Path, finished: Path, tmp_path: Path) -> None:
    common = {"data": str(table), "label": "income", "width": 8, "epochs": 2, "log_every": 2}
    comparison = unconfound.compare(
        {"random": "random", "supervised": Recipe("mine", "supervised", {"training": {"batch_size": 9}})},
        seeds=(0, 1),
        baseline="mine",
        metrics=["knn"],
        out=tmp_path / "compare",
        batch_size=32,
        checkpoint_seconds=0.0,
        gradient_clip=None,
        **common,
    )
    assert comparison.baseline == "supervised"
    assert {cell.status for cell in comparison.cells} == {"done"}
    assert [measure.metric for measure in comparison.measures()] == ["knn"]
    pd.testing.assert_frame_equal(figures(tmp_path / "compare"), figures(finished))


def test_list_and_help_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "compare/demo" in capsys.readouterr().out
    assert not any(name.startswith("compare/") for name in list_recipes())
    with pytest.raises(SystemExit) as leaving:
        main(["compare", "--help"])
    assert leaving.value.code == 0
    assert "--baseline" in capsys.readouterr().out
