"""The folder of a comparison: whether it may be used, how it begins, and what is done in it already."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import tomli_w

from unconfound.comparison.plan import Task, row_configs
from unconfound.comparison.record import Cell
from unconfound.comparison.rows import Rows
from unconfound.encoders import read_card
from unconfound.evaluation.figures import read_evaluation
from unconfound.files import write_text
from unconfound.options.compare import CompareArguments
from unconfound.outputs import check_output_folder, remove_half_written
from unconfound.training.run_folder import MARKERS, RunFolder

MARKER = "comparison.toml"
# What the encoders of all folds of a row and seed reach together.
CONCATENATED = "concatenated-seed-{}.json"
FOLD_TABLES = ("folds.csv", "folds-summary.csv", "folds.md")


def check_comparison_folder(arguments: CompareArguments, tasks: Sequence[Task]) -> None:
    """Refuse a folder that holds something else, before anything is read or changed.

    Raises:
        ValueError: it holds no comparison, or one that may be neither resumed nor removed, or a run with other options.
    """
    out = arguments.out
    check_output_folder(
        out, kind="comparison", markers=[MARKER], resume=arguments.resume, overwrite=arguments.overwrite
    )
    for task in tasks:
        folder = RunFolder(out / task.cell.run, resume=not arguments.overwrite, overwrite=arguments.overwrite)
        folder.check()
        if not arguments.overwrite:
            folder.check_config(task.config)


def start_folder(arguments: CompareArguments, asked: Rows, tasks: Sequence[Task]) -> None:
    """Write comparison.toml, which does all of it again; remove earlier runs where that was asked for."""
    if arguments.overwrite:
        # Without and with settings, and with a domain left out.
        for run in [run for depth in ("*", "*/*", "*/*/*") for run in arguments.out.glob(f"{depth}/seed-*")]:
            if all((run / marker).is_file() for marker in MARKERS):
                shutil.rmtree(run)
        for file in [*arguments.out.rglob(CONCATENATED.format("*")), *(arguments.out / name for name in FOLD_TABLES)]:
            file.unlink(missing_ok=True)
    remove_half_written(arguments.out, within=True)
    document = {
        "baseline": asked.baseline,
        "seeds": list(asked.seeds),
        "metrics": list(asked.metrics),
        **({"select": asked.select} if asked.candidates else {}),
        **({"over": {key: list(values) for key, values in asked.over.items()}} if asked.over else {}),
        "rows": row_configs(asked, tasks),
    }
    write_text(arguments.out / MARKER, tomli_w.dumps(document))


def done_cell(task: Task, arguments: CompareArguments) -> Cell | None:
    """Read a cell that was evaluated; None where it was not, or where it will be run anew."""
    path = arguments.out / task.cell.run / "evaluation.json"
    if arguments.overwrite or not path.is_file():
        return None
    try:
        evaluation = read_evaluation(path)[0]
        seconds = read_card(path.parent).provenance.get("seconds")
    except (ValueError, IndexError, FileNotFoundError):
        return None
    # `unconfound evaluate` writes to the same name, maybe of other data: that is no cell's figure.
    if evaluation.name != task.title:
        return None
    return replace(task.cell, status="done", evaluation=evaluation, seconds=seconds)
