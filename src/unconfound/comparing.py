"""Recipes x seeds in one run that goes on where it was: each cell a run folder, all of them one table."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from unconfound.arguments import CompareArguments
from unconfound.comparison_plan import (
    Task,
    check_folder,
    completed,
    differing_data,
    done_cell,
    row_configs,
    start_folder,
    tasks_of,
)
from unconfound.data import Dataset
from unconfound.data.load import DataOptions, load
from unconfound.encoders import load_encoder, read_card
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.figures import write_evaluations
from unconfound.methods import ALIASES, METHODS
from unconfound.recipes import Recipe
from unconfound.recipes.comparisons import Rows, rows_of
from unconfound.report.comparison import Cell, Comparison
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import write_tables
from unconfound.runs import fit_run
from unconfound.training.hardware import choose_device
from unconfound.training.progress import console
from unconfound.training.run_folder import environment


def compare(
    recipes: str | Sequence[str] | Mapping[str, str | Recipe],
    *,
    seeds: Sequence[int] = (),
    baseline: str | None = None,
    metrics: Sequence[str] = (),
    out: Path | str = "runs/compare",
    resume: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Comparison:
    """Train and judge every recipe with every seed, and set the rows against a baseline.

    Args:
        recipes: methods, recipes or TOML files (NAME=RECIPE gives a row another name); or the name or path of a whole
            comparison; or recipes by the names of their rows.
        seeds: by default those of the comparison, else 0, 1 and 2.
        baseline: the row that others are compared with; by default that of the comparison, else the first row.
        metrics: what tables show; by default the linear probe, SVM, the cost of a swapped background and the worst
            group, whichever there are. comparison.csv holds every figure.
        out: the folder; a cell's run folder is out/ROW/seed-SEED.
        resume: keep the cells that are done, go on with the one that was stopped, and try failed ones again.
        overwrite: remove the runs of an earlier comparison in `out` first.
        **options: options of `fit` for every row, as in epochs=3 or data="table.csv".

    Returns:
        The cells with their figures, and what sums them up.

    Raises:
        ValueError, FileNotFoundError: a mistake in the arguments, or every cell failed. That of a single cell is in
            the table instead.
    """
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    flags = Recipe("", "", {"options": {key: value for key, value in given.items() if value is not None}}).flags()
    arguments = CompareArguments(
        seeds=tuple(seeds),
        baseline=baseline,
        metric=tuple(metrics),
        out=Path(out),
        resume=resume,
        overwrite=overwrite,
    )
    return run_comparison(recipes, arguments, flags)


def run_comparison(
    recipes: str | Sequence[str] | Mapping[str, str | Recipe], arguments: CompareArguments, flags: Sequence[str]
) -> Comparison:
    """Do what `compare` says; `flags` are those of `unconfound fit` for every row."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("compare runs in one process: start it without torchrun")
    asked = completed(rows_of(recipes, methods=[*METHODS, *ALIASES]), arguments)
    tasks = tasks_of(asked, arguments.out, flags)
    check_folder(arguments, tasks)
    cells = [done_cell(task, arguments) or task.cell for task in tasks]
    waiting = [place for place, cell in enumerate(cells) if cell.status == "waiting"]
    known = {task.arguments.data for task in tasks}
    datasets: dict[DataOptions, Dataset] = {}
    if len(known) == 1 and waiting:
        # Said before anything is written: without these data no cell can be.
        datasets[tasks[0].arguments.data] = load(tasks[0].arguments.data)
    start_folder(arguments, asked, tasks)
    if len(waiting) < len(tasks):
        console.print(f"{len(tasks) - len(waiting)} of {len(tasks)} cells are done already")
    try:
        for place in waiting:
            console.print(f"cell {place + 1} of {len(tasks)}: {tasks[place].title}", style="bold")
            cells[place] = _run(tasks[place], datasets, log=arguments.out / "log.txt")
            _write(arguments.out, cells, asked, tasks)
            if cells[place].status == "waiting":
                break
            for options in known - {task.arguments.data for task in tasks[place + 1 :]}:
                datasets.pop(options, None)
    except KeyboardInterrupt:
        console.print("go on with the same command and --resume")
        raise
    comparison = _write(arguments.out, cells, asked, tasks, page=True)
    if not comparison.finished:
        done = sum(cell.status == "done" for cell in cells)
        console.print(f"{done} of {len(cells)} cells are done; the tables so far are in {arguments.out}")
    if len(comparison.failed) == len(cells):
        raise ValueError(f"all {len(cells)} cells failed, the first with: {cells[0].error}")
    return comparison


def _run(task: Task, datasets: dict[DataOptions, Dataset], *, log: Path) -> Cell:
    """Train and judge a cell; its status is "waiting" where a signal asked to stop."""
    run, options = task.arguments.out, task.arguments.data
    assert run is not None
    try:
        if options not in datasets:
            datasets[options] = load(options)
        if (run / "encoder.json").is_file():
            encoder = load_encoder(run)
        else:
            fitted = fit_run(task.method, task.arguments, dataset=datasets[options])
            if not fitted.finished:
                return task.cell
            encoder = fitted.encoder
        console.print(f"measuring {task.title}")
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            evaluation, _ = evaluate(
                encoder,
                datasets[options],
                name=task.title,
                device=choose_device(task.arguments.training.device),
                progress=progress,
            )
        write_evaluations(run / "evaluation.json", [evaluation], command=_command(), environment=environment())
    except Exception as error:
        # A full disk fails every cell to come, too.
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or os.environ.get("UNCONFOUND_TRACEBACK"):
            raise
        told = " ".join(str(error).split()) or type(error).__name__
        console.print(f"failed: {task.title}: {told}", style="bold red", markup=False)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{task.title}\n{traceback.format_exc()}\n")
        return replace(task.cell, status="failed", error=told)
    return replace(task.cell, status="done", evaluation=evaluation, seconds=read_card(run).provenance.get("seconds"))


def _write(out: Path, cells: Sequence[Cell], asked: Rows, tasks: Sequence[Task], *, page: bool = False) -> Comparison:
    """Write the tables, so that a run that is killed leaves what it has; at the end the page, too."""
    comparison = Comparison(tuple(cells), str(asked.baseline), asked.metrics, differing_data(tasks))
    around = environment()
    gpus = ", ".join(around["gpus"])
    hardware = f"{around['processor']}, {around['cores']} cores" + (f", {gpus}" if gpus else "")
    write_tables(out, comparison, command=_command(), hardware=hardware)
    if page:
        packages = {f"{name} (package)": version for name, version in around["packages"].items()}
        facts = {
            "python": around["python"],
            **packages,
            "hardware": hardware,
            "git": around["git"] or "not in a checkout",
        }
        write_comparison(
            out / "report.html", comparison, configs=row_configs(tasks), command=_command(), environment=facts
        )
    return comparison


def _command() -> str:
    return shlex.join(["unconfound", *sys.argv[1:]])
