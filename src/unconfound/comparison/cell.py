"""One cell of a comparison: its data, its training, its figures, and what becomes of an error."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from unconfound.comparison.plan import Task
from unconfound.comparison.record import Cell
from unconfound.data import Dataset
from unconfound.data.load import DataOptions
from unconfound.encoders import load_classifier, load_encoder, read_card
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.figures import VALIDATION, write_evaluations
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.unseen import unseen
from unconfound.loading import load
from unconfound.progress import Bars, announced, console
from unconfound.runs import fit_run, read_data
from unconfound.training.run_folder import machine


def dataset_of(task: Task, datasets: dict[DataOptions, Dataset]) -> Dataset:
    """Read a cell's data, if they are not in memory; those of a run that leaves a training domain out have no tests.

    Raises:
        ValueError, FileNotFoundError: they cannot be read, or lack what a candidate is chosen by.
    """
    options = task.arguments.data
    if task.arguments.encoder.start is not None:
        # What a row starts from decides how its data are read, so no other row can share them.
        assert task.arguments.out is not None
        dataset = read_data(task.arguments, out=task.arguments.out)
    else:
        if options not in datasets:
            with announced(f"reading {options.data}"):
                datasets[options] = load(options)
        dataset = datasets[options]
    validation = dataset.validation
    if task.needs_validation and validation is None:
        raise ValueError(
            f"candidates of {task.cell.row} are chosen on a validation part, which the data do not have: add "
            "--validation-share 0.2"
        )
    if (
        task.rule is not None
        and task.needs_validation
        and validation is not None
        and "map_at_r" not in task.rule.metrics
        and unseen(validation, dataset.train.schema)
    ):
        raise ValueError(
            f"candidates of {task.cell.row} are chosen by {task.rule.figure}, but the classes of the validation part "
            'are not trained on: add --select "validation MAP@R"'
        )
    if task.rule is not None and task.rule.groups and validation is not None and validation.groups is None:
        raise ValueError(
            f"candidates of {task.cell.row} are chosen by {task.rule.figure}, but that has no groups: give data that "
            "have some, or --select validation"
        )
    # Whoever chooses by the domain left out is not to see the one that is held out.
    return replace(dataset, tests={}) if task.cell.left_out else dataset


def evaluated_on(task: Task, dataset: Dataset) -> Dataset:
    """Return what a cell is evaluated on: the domain left out alone where there is one."""
    if not task.cell.left_out or dataset.validation is None:
        return dataset
    return replace(dataset, tests={VALIDATION: dataset.validation}, validation=None)


def run_cell(task: Task, datasets: dict[DataOptions, Dataset], *, log: Path) -> Cell:
    """Train and evaluate a cell.

    Raises:
        TrainingStopped: a signal asked to stop.
        OSError: the disk is full.
    """
    run = task.arguments.out
    assert run is not None
    try:
        dataset = dataset_of(task, datasets)
        if (run / "encoder.json").is_file():
            encoder = load_encoder(run)
        else:
            encoder = fit_run(task.method, task.arguments, dataset=dataset).encoder
        console.print(f"measuring {task.title}")
        with Bars() as progress:
            evaluation = evaluate(
                encoder,
                evaluated_on(task, dataset),
                name=task.title,
                classifier=load_classifier(run),
                judging=Judging(device=task.arguments.training.device),
                progress=progress,
            ).evaluation
        write_evaluations(run / "evaluation.json", [evaluation], command=command_line(), environment=machine())
    except Exception as error:
        # A full disk fails every cell to come, too.
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or os.environ.get("UNCONFOUND_TRACEBACK"):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        console.print(f"failed: {task.title}: {said}", style="bold red")
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{task.title}\n{traceback.format_exc()}\n")
        return replace(task.cell, status="failed", error=said)
    return replace(task.cell, status="done", evaluation=evaluation, seconds=read_card(run).provenance.get("seconds"))


def command_line() -> str:
    """What the user typed."""
    return shlex.join(["unconfound", *sys.argv[1:]])
