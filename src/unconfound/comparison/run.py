"""Recipes x seeds in one run that goes on where it was: each cell a run folder, all of them one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from unconfound.comparison.cell import dataset_of, run_cell
from unconfound.comparison.choice import chosen_comparison
from unconfound.comparison.comparison_folder import check_comparison_folder, done_cell, start_folder
from unconfound.comparison.folds_together import Folds
from unconfound.comparison.jobs import run_in_processes
from unconfound.comparison.plan import Task, differing_data, planned
from unconfound.comparison.record import Cell, Comparison
from unconfound.comparison.rows import Rows
from unconfound.data import Dataset
from unconfound.data.load import DataOptions
from unconfound.lock import alone_in
from unconfound.options.compare import CompareArguments
from unconfound.progress import console
from unconfound.training.launcher import check_launcher
from unconfound.training.stop import TrainingStopped


class Write(Protocol):
    """Writes what a comparison has found so far, so that a run that is killed leaves it."""

    def __call__(self, comparison: Comparison, asked: Rows, tasks: Sequence[Task], *, ended: bool) -> None:
        """Write the tables into the comparison's folder, and the page where this run has ended."""


def run_rows(rows: Rows, arguments: CompareArguments, flags: Sequence[str], *, write: Write) -> Comparison:
    """Train and evaluate all cells, and write after each.

    Args:
        rows: what is compared.
        arguments: seeds, baseline, folder and the like.
        flags: those of `unconfound fit` for every row.
        write: is given what was found so far.

    Returns:
        The cells with their figures, and what sums them up.

    Raises:
        ValueError, FileNotFoundError: a mistake in the arguments, or every cell failed.
        TrainingStopped: a signal asked to stop; what was found so far is written.
    """
    check_launcher()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("compare runs in one process: start it without torchrun")
    if arguments.jobs > 1 and sys.platform == "win32":
        raise ValueError("--jobs runs cells side by side on Linux and macOS, not on Windows: leave it out")
    out = arguments.out
    asked, tasks = planned(rows, arguments, flags)
    with alone_in(out, lambda: check_comparison_folder(arguments, tasks)) as lock:
        cells = [done_cell(task, arguments) or task.cell for task in tasks]
        waiting = [place for place, cell in enumerate(cells) if cell.status == "waiting"]
        datasets: dict[DataOptions, Dataset] = {}
        if len({replace(task.arguments.data, fold=None) for task in tasks if not task.cell.left_out}) == 1 and waiting:
            # Said before anything is written: without these data no cell can be, nor any fold of too few classes.
            dataset_of(next((task for task in tasks if task.needs_validation), tasks[0]), datasets)
        start_folder(arguments, asked, tasks)
        if len(waiting) < len(tasks):
            console.print(f"{len(tasks) - len(waiting)} of {len(tasks)} cells are done already")
        log = out / "log.txt"
        folds = Folds(out, asked, tasks, datasets, log=log)

        def summed_up() -> Comparison:
            chosen = chosen_comparison(
                cells, str(asked.baseline), asked.metrics, differing_data(tasks), rule=str(asked.select)
            )
            return folds.evaluated(chosen)

        try:
            if arguments.jobs == 1:
                running = _one_by_one(tasks, waiting, datasets, log=log)
            else:
                datasets.clear()
                running = run_in_processes(tasks, waiting, jobs=arguments.jobs, log=log, lock=lock.descriptor)
            with closing(running):
                for place, cell in running:
                    cells[place] = cell
                    write(summed_up(), asked, tasks, ended=False)
        except KeyboardInterrupt as stopped:
            if isinstance(stopped, TrainingStopped):
                write(summed_up(), asked, tasks, ended=True)
            done = sum(cell.status == "done" for cell in cells)
            console.print(
                f"{done} of {len(cells)} cells are done; the tables so far are in {out}; go on with the same command "
                "and --resume"
            )
            raise
        comparison = summed_up()
        write(comparison, asked, tasks, ended=True)
    if comparison.failed and all(cell.status == "failed" for cell in comparison.cells):
        raise ValueError(f"all {len(comparison.cells)} cells failed, the first with: {comparison.failed[0].error}")
    return comparison


def _one_by_one(
    tasks: Sequence[Task], waiting: Sequence[int], datasets: dict[DataOptions, Dataset], *, log: Path
) -> Generator[tuple[int, Cell], None, None]:
    """Run cells in this process.

    Raises:
        TrainingStopped: a signal asked to stop.
    """
    for number, place in enumerate(waiting):
        console.print(f"cell {place + 1} of {len(tasks)}: {tasks[place].title}", style="bold")
        later = {tasks[other].arguments.data for other in waiting[number:]}
        for options in datasets.keys() - later:
            del datasets[options]
        cell = run_cell(tasks[place], datasets, log=log)
        yield place, cell
