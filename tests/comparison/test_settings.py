"""Settings and candidates from a file to the tables: what is run, where it lies, and what it is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import unconfound
import unconfound.comparison.cell
from comparison.runs import write_table
from unconfound.cli import main
from unconfound.comparison.plan import completed, differing_data, row_configs, tasks_of
from unconfound.comparison.rows import Rows, rows_of
from unconfound.methods import ALIASES, METHODS
from unconfound.options.compare import CompareArguments

CONTENT = """
seeds = [3]
metrics = ["linear_probe"]
[data]
data = "{table}"
label = "income"
validation_share = 0.2
[encoder]
width = 8
[training]
epochs = 1
batch_size = 32
[over]
data_seed = [0, 1]
[rows.random]
method = "random"
[rows.supervised]
method = "supervised"
training = {{learning_rate = 0.01}}
candidates = [{{weight_decay = 0.1}}, {{epochs = 2, weight_decay = 0.0}}]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the comparison above, with some words replaced."""

    def write(*replaced: tuple[str, str]) -> Path:
        content = CONTENT.format(table=write_table(tmp_path / "table.csv"))
        for before, after in replaced:
            assert before in content
            content = content.replace(before, after)
        (tmp_path / "mine.toml").write_text(content)
        return tmp_path / "mine.toml"

    return write


def rows(file: Path, **arguments: Any) -> Rows:
    return completed(rows_of(str(file), methods=[*METHODS, *ALIASES]), CompareArguments(**arguments))


def test_each_setting_has_a_folder_and_each_candidate_its_options(write: Callable[..., Path], tmp_path: Path) -> None:
    asked = rows(write())
    tasks = tasks_of(asked, tmp_path / "out", [])
    assert [task.cell.run for task in tasks] == [
        f"data seed {setting}/{row}/seed-3"
        for setting in (0, 1)
        for row in ("random", "supervised, weight decay 0.1", "supervised, epochs 2, weight decay 0.0")
    ]
    assert tasks[3].title == "data seed 1, random, seed 3"
    first, second = (task.arguments for task in tasks[4:])
    assert (first.training.epochs, first.training.weight_decay, first.data.data_seed) == (1, 0.1, 1)
    # What a candidate does not say is the row's.
    assert (second.training.epochs, second.training.weight_decay, second.training.learning_rate) == (2, 0.0, 0.01)
    assert [task.needs_validation for task in tasks[:3]] == [False, True, True]
    # Settings are no difference between rows.
    assert differing_data(tasks) == ""
    both = rows(write(), over=("data_seed=0,1", "test-share=0.2,0.3"), select="oracle")
    names = dict.fromkeys(task.cell.setting for task in tasks_of(both, tmp_path, []))
    assert list(names) == [f"data seed {seed}, test share {share}" for seed in (0, 1) for share in (0.2, 0.3)]
    assert not any(task.needs_validation for task in tasks_of(both, tmp_path, []))
    switched = tasks_of(rows(write(), over=("rows=true,false",)), tmp_path, [])
    assert [task.arguments.data.rows for task in switched[::3]] == [True, False]
    paths = tasks_of(rows(write(), over=("photographs=a/b c,../d",)), tmp_path, [])
    assert [task.cell.setting for task in paths[::3]] == ["photographs a-b c", "photographs ..-d"]


def test_one_command_does_all_of_it_and_its_file_does_it_again(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = write(), tmp_path / "out"
    assert main(["compare", str(file), "--out", str(out)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "average over settings: linear probe, test (%)" in printed
    assert "average over settings: linear probe, validation (not a test) (%)" in printed
    cells = pd.read_csv(out / "comparison.csv", keep_default_na=False)
    runs = cells.drop_duplicates("run")
    assert list(runs["setting"]) == ["data seed 0"] * 3 + ["data seed 1"] * 3
    assert set(runs["status"]) == {"done"}
    assert runs.groupby(["setting", "row"])["chosen"].sum().to_list() == [1, 1, 1, 1]
    for setting in ("data seed 0", "data seed 1"):
        reached = {}
        for run in runs[(runs["setting"] == setting) & (runs["row"] == "supervised")].itertuples():
            (found,) = json.loads((out / run.run / "evaluation.json").read_text())["evaluations"]
            reached[run.chosen] = found["tests"]["validation"]["classifier"]["value"]
        assert reached[True] >= reached[False]
    text = (out / "comparison.md").read_text()
    assert "| supervised, chosen by validation accuracy |" in text
    assert "chosen by validation accuracy, of 2 candidates: data seed 1, supervised: " in text

    again, before = rows(out / "comparison.toml"), rows(file)
    there, here = (tasks_of(asked, tmp_path / "o", []) for asked in (again, before))
    assert [task.config for task in there] == [task.config for task in here]
    assert row_configs(again, there) == row_configs(before, here)

    tables = {path.name: path.read_text() for path in out.glob("*.csv")}
    for name in ("fit_run", "evaluate", "load"):
        monkeypatch.setattr(unconfound.comparison.cell, name, None)
    assert main(["compare", str(out / "comparison.toml"), "--out", str(out), "--resume"]) == 0
    assert tables == {path.name: path.read_text() for path in out.glob("*.csv")}
    monkeypatch.undo()
    assert main(["compare", "random", "--out", str(out), "--overwrite", "--data", "none.csv"]) == 2
    assert tables == {path.name: path.read_text() for path in out.glob("*.csv")}


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        (("validation_share = 0.2", "validation_share = 0.0\ndata_seed = 0"), "add --validation-share 0.2"),
        (("weight_decay = 0.1}", "weight_deca = 0.1}"), "unknown key 'weight_deca' of a candidate: did you mean"),
        (("weight_decay = 0.1}", "seed = 1}"), "unknown key 'seed' of a candidate"),
        (("{weight_decay = 0.1}", "{}"), "a candidate says nothing"),
        (("epochs = 2, weight_decay = 0.0", "weight_decay = 0.1"), "two candidates are called 'weight decay 0.1'"),
        (("[{weight_decay = 0.1}, {epochs = 2, weight_decay = 0.0}]", "3"), "candidates must be a list such as"),
        (("[rows.random]", '[rows."supervised, weight decay 0.1"]'), "share the folder data seed 0/supervised, weight"),
        (("data_seed = [0, 1]", "data_seed = 3"), "[over] needs a list of values for data_seed"),
        (("data_seed = [0, 1]", "data_seed = [2]"), "by the worst group in validation, but that has no groups"),
        (("[over]\ndata_seed = [0, 1]", ""), "add --validation-share 0.2"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    replaced: tuple[str, str],
    expected: str,
    write: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Of several settings each reads its own data, which then is an error of its cells.
    several = ("data_seed = [0, 1]", "data_seed = [0]")
    file = write(replaced, *([several] if several[0] not in replaced[0] else []))
    flags = {"": ["--validation-share", "0"], "data_seed = [2]": ["--select", "validation worst group"]}.get(
        replaced[1], []
    )
    assert main(["compare", str(file), "--out", str(tmp_path / "out"), *flags]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
    assert len(lines) == 1
    assert expected in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_flag_cannot_make_all_candidates_the_same(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row supervised: --weight-decay is what candidates differ in"):
        tasks_of(rows(write()), tmp_path, ["--weight_decay", "0.3"])


def test_candidates_in_python_belong_to_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="candidates of 'randm', which is no row: did you mean 'random'"):
        unconfound.compare(["random"], candidates={"randm": [{"epochs": 2}]}, out=tmp_path / "out")
