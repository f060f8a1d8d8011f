"""Folds of the training classes as settings: the encoders of one row and seed, evaluated together."""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unconfound.comparison.cell import dataset_of
from unconfound.comparison.comparison_folder import CONCATENATED
from unconfound.comparison.fold_summaries import Fold, fold_summaries
from unconfound.comparison.plan import Task
from unconfound.comparison.record import Cell, Comparison
from unconfound.comparison.rows import Rows
from unconfound.comparison.settings import options_in_words
from unconfound.data import Dataset
from unconfound.data.load import DataOptions
from unconfound.devices import choose_device
from unconfound.documents import read_sealed, sealed
from unconfound.encoders import load_encoder
from unconfound.evaluation.concatenation import concatenated_evaluations
from unconfound.evaluation.embed import embed
from unconfound.evaluation.figures import Evaluation
from unconfound.files import write_text
from unconfound.progress import console

FORMAT = 1


class Folds:
    """What comes of a comparison over `fold`; nothing where it has fewer than two folds.

    A row and seed is evaluated as soon as all of its folds are done. Test sets are the same in every fold, and are
    embedded by the encoder of each. What was found is kept in a file next to the runs, for --resume.

    Args:
        out: the comparison's folder.
        asked: as `plan.completed` returns it.
        tasks: of all cells.
        datasets: those in memory.
    """

    def __init__(
        self, out: Path, asked: Rows, tasks: Sequence[Task], datasets: dict[DataOptions, Dataset], *, log: Path
    ) -> None:
        self.out, self.datasets, self.log = out, datasets, log
        self.tasks = {task.cell.run: task for task in tasks}
        self.count, others = len(asked.over.get("fold", ())), [key for key in asked.over if key != "fold"]
        # Setting -> what it is called but for its fold.
        self.settings = {
            task.cell.setting: options_in_words({key: getattr(task.arguments.data, key) for key in others})
            for task in tasks
        }
        self.found: dict[tuple[str, str, int], dict[str, Evaluation]] = {}
        self.failed: dict[tuple[str, str, int], str] = {}

    def evaluated(self, comparison: Comparison) -> Comparison:
        """Add the tables of the folds to a comparison, of the rows and seeds all of whose folds are done."""
        if self.count < 2:
            return comparison
        groups: dict[tuple[str, str, int], list[Cell]] = {}
        for cell in comparison.cells:
            groups.setdefault((self.settings[cell.setting], cell.row, cell.seed), []).append(cell)
        whole = {
            key: cells
            for key, cells in groups.items()
            if len(cells) == self.count and all(cell.status == "done" for cell in cells)
        }
        for key, cells in whole.items():
            if key not in self.found and key not in self.failed:
                self._evaluate_together(key, cells)
        folds = [Fold(*key, cells=tuple(cells), together=self.found.get(key, {})) for key, cells in whole.items()]
        notes = tuple(
            f"not evaluated together: {', '.join(filter(None, key[:2]))}, seed {key[2]}: {told}"
            for key, told in self.failed.items()
        )
        return replace(comparison, folds=tuple(fold_summaries(comparison, folds)), fold_notes=notes)

    def _evaluate_together(self, key: tuple[str, str, int], cells: Sequence[Cell]) -> None:
        setting, row, seed = key
        path = self.out / setting / row / CONCATENATED.format(seed)
        runs = {cell.run: _version(self.out / cell.run) for cell in cells}
        if found := _read(path, runs):
            self.found[key] = found
            return
        name = ", ".join(filter(None, (setting, row, f"seed {seed}, {len(cells)} folds")))
        console.print(f"measuring {name} together")
        try:
            self.found[key] = concatenated_evaluations(self._embedded(cells), name=name)
        except (ValueError, RuntimeError, FileNotFoundError) as error:
            self.failed[key] = " ".join(str(error).split())
            console.print(f"failed: {name}: {self.failed[key]}", style="bold red")
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{name}\n{traceback.format_exc()}\n")
            return
        evaluations = {form: evaluation.to_json() for form, evaluation in self.found[key].items()}
        document = {"format": FORMAT, "runs": runs, "evaluations": evaluations}
        write_text(path, json.dumps(sealed(document), indent=2, allow_nan=False) + "\n")

    def _embedded(self, cells: Sequence[Cell]) -> list[dict[str, Any]]:
        tasks = [self.tasks[cell.run] for cell in cells]
        # Any fold's data will do, best those that are in memory.
        task = next((task for task in tasks if task.arguments.data in self.datasets), tasks[-1])
        dataset, device = dataset_of(task, self.datasets), choose_device(task.arguments.training.device)
        embedded = []
        for cell in cells:
            encoder = load_encoder(self.out / cell.run)
            embedded.append({test: embed(encoder, source, device=device) for test, source in dataset.tests.items()})
        return embedded


def _version(run: Path) -> list[int]:
    """What changes when a run is made anew."""
    status = (run / "encoder.safetensors").stat()
    return [status.st_mtime_ns, status.st_size]


def _read(path: Path, runs: dict[str, list[int]]) -> dict[str, Evaluation]:
    """Read what was found of these very runs; nothing where that is not known."""
    try:
        document = read_sealed(path, format=FORMAT, remedy="measure anew")
        if document["runs"] != runs:
            return {}
        return {form: Evaluation.from_json(values) for form, values in document["evaluations"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
