"""Rows that are named one by one or in a file, and the cells that they become."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unconfound.comparison.plan import completed, differing_data, tasks_of
from unconfound.comparison.rows import list_comparisons, rows_of
from unconfound.comparison.settings import settings_of
from unconfound.methods import ALIASES, METHODS
from unconfound.options.compare import CompareArguments

KNOWN = [*METHODS, *ALIASES]


def test_a_file_of_rows(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'baseline = "random"\nseeds = [3, 5]\nmetrics = ["knn"]\n'
        "[data]\ncorrelation = 0.5\n[training]\nepochs = 7\n"
        '[rows.random]\nmethod = "random"\n'
        '[rows."cold, long"]\nrecipe = "simclr/demo"\noptions = {temperature = 0.1}\ntraining = {epochs = 9}\n'
    )
    asked = rows_of([str(file)], methods=KNOWN)
    assert (asked.baseline, asked.seeds, asked.metrics) == ("random", (3, 5), ("knn",))
    tasks = tasks_of(completed(asked, CompareArguments()), tmp_path, ["--correlation", "0.3"])
    assert [(task.cell.row, task.cell.seed) for task in tasks] == [
        (row, seed) for row in ("random", "cold, long") for seed in (3, 5)
    ]
    assert tasks[1].arguments.training.epochs == 7
    cold = tasks[3].arguments
    # The row's own words before those of all rows, these before its recipe's, and the flag before all.
    assert (cold.training.epochs, cold.training.seed, cold.training.learning_rate) == (9, 5, 2e-3)
    assert (cold.options.temperature, cold.options.flip_probability, cold.data.correlation) == (0.1, 0.0, 0.3)
    assert cold.out == tmp_path / "cold, long/seed-5"
    changed = completed(asked, CompareArguments(seeds=(1,), baseline="cold, long", metric=("svm",)))
    assert (changed.baseline, changed.seeds, changed.metrics) == ("cold, long", (1,), ("svm",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seeds = [0]\n[rows]\n", "has no rows"),
        ("rows = 3\n", "has no rows"),
        ('[rows.a]\nmethod = "random"\nrecipe = "random/demo"\n', "row a needs either a method or a recipe"),
        ("[rows.a]\n", "row a needs either a method or a recipe"),
        ('[rows.a]\nmethod = "random"\noption = {}\n', "unknown key 'option': did you mean 'options'?"),
        ('[rows.a]\nmethod = "random"\ntraining = 3\n', "training must be a section"),
        ('[rows.a]\nmethod = "simclr"\noptions = {temprature = 1}\n', "did you mean 'temperature'?"),
        ('[rows.a]\nmethod = "randm"\n', "row a: unknown method 'randm': did you mean 'random'?"),
        ('[rows.a]\nrecipe = "simclr/dem"\n', "did you mean 'simclr/demo'?"),
        ('seeds = ["0"]\n[rows.a]\nmethod = "random"\n', "seeds must be a list of int, got ['0']"),
        ('seed = [0]\n[rows.a]\nmethod = "random"\n', "unknown key 'seed': did you mean 'seeds'?"),
        ('baseline = 3\n[rows.a]\nmethod = "random"\n', "baseline '3' is no row"),
        ('[rows."../a"]\nmethod = "random"\n', "row '../a' cannot name a folder"),
    ],
)
def test_a_malformed_file_of_rows(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(expected)) as caught:
        tasks_of(completed(rows_of(str(file), methods=KNOWN), CompareArguments()), tmp_path / "out", [])
    assert "\n" not in str(caught.value)


def test_rows_are_called_by_their_method_file_or_run(tmp_path: Path) -> None:
    mine, run = tmp_path / "mine.toml", tmp_path / "run" / "config.toml"
    run.parent.mkdir()
    for file in (mine, run):
        file.write_text('method = "simclr"\n')
    words = ["dacl+", "random/demo", str(mine), f"again={mine}", str(run)]
    assert list(rows_of(words, methods=KNOWN).recipes) == ["dacl+", "random", "mine", "again", "run"]


@pytest.mark.parametrize("name", list_comparisons())
def test_built_in_comparisons_are_whole(name: str, tmp_path: Path) -> None:
    asked = completed(rows_of(name, methods=KNOWN), CompareArguments())
    tasks = tasks_of(asked, tmp_path, [])
    trained = sum(len(asked.candidates.get(row, (None,))) for row in asked.recipes)
    assert len(tasks) == len(settings_of(asked.over, tasks[0].row.data)) * trained * len(asked.seeds)
    # That of the observation compares data, which is said.
    assert bool(differing_data(tasks)) == (name == "compare/icl-msr-observation")


def test_rows_on_different_data_are_pointed_out(tmp_path: Path) -> None:
    asked = rows_of(["random/demo", "simclr/cifar10"], methods=KNOWN)
    tasks = tasks_of(completed(asked, CompareArguments()), tmp_path, [])
    assert "(data demo, cifar10)" in differing_data(tasks)
