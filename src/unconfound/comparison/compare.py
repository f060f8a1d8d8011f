"""Recipes x seeds in one run that goes on where it was: each cell a run folder, all of them one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from unconfound.arguments import CompareArguments
from unconfound.comparison.cell import command, dataset_of, run_cell
from unconfound.comparison.folder import check_folder, done_cell, start_folder
from unconfound.comparison.folds import Folds
from unconfound.comparison.jobs import side_by_side
from unconfound.comparison.plan import Task, completed, differing_data, shown_configs, tasks_of
from unconfound.data import Dataset
from unconfound.data.load import DataOptions
from unconfound.lock import FolderLock
from unconfound.methods import ALIASES, METHODS
from unconfound.recipes import Recipe
from unconfound.recipes.comparisons import Rows, rows_of
from unconfound.report.comparison import Cell, Comparison
from unconfound.report.comparison_choice import chosen_comparison
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import write_tables
from unconfound.training.launcher import check_launcher
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
    over: Mapping[str, Sequence[Any]] | None = None,
    candidates: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    select: str | None = None,
    jobs: int = 1,
    **options: Any,
) -> Comparison:
    """Train and judge every recipe with every seed, and set the rows against a baseline.

    Args:
        recipes: methods, recipes or TOML files (NAME=RECIPE gives a row another name); or the name or path of a whole
            comparison; or recipes by the names of their rows.
        seeds: by default those of the comparison, else 0, 1 and 2.
        baseline: the row that others are compared with; by default that of the comparison, else the first row.
        metrics: what tables show; by default the trained classifier, the linear probe, SVM, the cost of a swapped
            background, the worst group and the means of masks, whichever there are; retrieval of classes that were not
            trained on. comparison.csv holds every figure.
        out: the folder; a cell's run folder is out/ROW/seed-SEED, below a folder SETTING where there are settings.
        resume: keep the cells that are done, go on with the one that was stopped, and try failed ones again.
        overwrite: remove the runs of an earlier comparison in `out` first.
        over: data option -> values: all rows are run in each of these settings.
        candidates: row -> options of the method or the training of each of its candidates.
        select: how one of these is chosen, per setting and seed: "validation", "validation worst group", "validation
            MAP@R", "leave-one-domain-out" or "oracle".
        jobs: runs side by side, each in a process with an equal share of the CPU cores; a GPU they share.
        **options: options of `fit` for every row, as in epochs=3 or data="table.csv".

    Returns:
        The cells with their figures, and what sums them up.

    Raises:
        ValueError, FileNotFoundError: a mistake in the arguments, or every cell failed. That of a single cell is in
            the table instead.
    """
    given = {key: value for key, value in _listed(options).items() if value is not None}
    flags = Recipe("", "", {"options": given}).flags()
    arguments = CompareArguments(
        seeds=tuple(seeds),
        baseline=baseline,
        metric=tuple(metrics),
        out=Path(out),
        resume=resume,
        overwrite=overwrite,
        select=select,
        jobs=jobs,
    )
    asked = rows_of(recipes, methods=[*METHODS, *ALIASES])
    if over is not None:
        asked = replace(asked, over={key: [*_listed(dict(enumerate(each))).values()] for key, each in over.items()})
    if candidates is not None:
        asked = replace(asked, candidates={row: [_listed(each) for each in given] for row, given in candidates.items()})
    return run_rows(asked, arguments, flags)


def run_comparison(recipes: str | Sequence[str], arguments: CompareArguments, flags: Sequence[str]) -> Comparison:
    """Do what `compare` says; `flags` are those of `unconfound fit` for every row."""
    return run_rows(rows_of(recipes, methods=[*METHODS, *ALIASES]), arguments, flags)


def run_rows(rows: Rows, arguments: CompareArguments, flags: Sequence[str]) -> Comparison:
    """Do the same for rows."""
    check_launcher()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("compare runs in one process: start it without torchrun")
    if arguments.jobs > 1 and sys.platform == "win32":
        raise ValueError("--jobs runs cells side by side on Linux and macOS, not on Windows: leave it out")
    asked, out = completed(rows, arguments), arguments.out
    tasks = tasks_of(asked, out, flags)
    check_folder(arguments, tasks)
    with FolderLock(out) as lock:
        lock.acquire()
        cells = [done_cell(task, arguments) or task.cell for task in tasks]
        waiting = [place for place, cell in enumerate(cells) if cell.status == "waiting"]
        datasets: dict[DataOptions, Dataset] = {}
        if len({task.arguments.data for task in tasks if not task.cell.left_out}) == 1 and waiting:
            # Said before anything is written: without these data no cell can be.
            dataset_of(next((task for task in tasks if task.needs_validation), tasks[0]), datasets)
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        start_folder(arguments, asked, tasks)
        if len(waiting) < len(tasks):
            console.print(f"{len(tasks) - len(waiting)} of {len(tasks)} cells are done already")
        log = out / "log.txt"
        folds = Folds(out, asked, tasks, datasets, log=log)
        try:
            if arguments.jobs == 1:
                running = _one_by_one(tasks, waiting, datasets, log=log)
            else:
                datasets.clear()
                running = side_by_side(tasks, waiting, jobs=arguments.jobs, log=log, lock=lock.descriptor)
            with closing(running):
                for place, cell in running:
                    cells[place] = cell
                    _write(out, cells, asked, tasks, folds=folds)
        except KeyboardInterrupt:
            console.print("go on with the same command and --resume")
            raise
        comparison = _write(out, cells, asked, tasks, folds=folds, page=True)
    if not comparison.finished:
        done = sum(cell.status == "done" for cell in cells)
        console.print(f"{done} of {len(cells)} cells are done; the tables so far are in {out}")
    if comparison.failed and all(cell.status == "failed" for cell in comparison.cells):
        raise ValueError(f"all {len(comparison.cells)} cells failed, the first with: {comparison.failed[0].error}")
    return comparison


def _one_by_one(
    tasks: Sequence[Task], waiting: Sequence[int], datasets: dict[DataOptions, Dataset], *, log: Path
) -> Generator[tuple[int, Cell], None, None]:
    """Run cells in this process, up to one that a signal stops."""
    for number, place in enumerate(waiting):
        console.print(f"cell {place + 1} of {len(tasks)}: {tasks[place].title}", style="bold", markup=False)
        later = {tasks[other].arguments.data for other in waiting[number:]}
        for options in datasets.keys() - later:
            del datasets[options]
        cell = run_cell(tasks[place], datasets, log=log)
        yield place, cell
        if cell.status == "waiting":
            return


def _write(
    out: Path, cells: Sequence[Cell], asked: Rows, tasks: Sequence[Task], *, folds: Folds, page: bool = False
) -> Comparison:
    """Write the tables, so that a run that is killed leaves what it has; at the end the page, too."""
    comparison = folds.judged(
        chosen_comparison(cells, str(asked.baseline), asked.metrics, differing_data(tasks), rule=str(asked.select))
    )
    around = environment()
    gpus = ", ".join(around["gpus"])
    hardware = f"{around['processor']}, {around['cores']} cores" + (f", {gpus}" if gpus else "")
    write_tables(out, comparison, command=command(), hardware=hardware)
    if page:
        packages = {f"{name} (package)": version for name, version in around["packages"].items()}
        facts = {
            "python": around["python"],
            **packages,
            "hardware": hardware,
            "git": around["git"] or "not in a checkout",
        }
        write_comparison(
            out / "report.html", comparison, configs=shown_configs(asked, tasks), command=command(), environment=facts
        )
    return comparison


def _listed(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Values as TOML would have them."""
    return {
        key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for key, value in values.items()
    }
