"""What a comparison will do: its cells, and whether its folder may be used for them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from unconfound.arguments import CompareArguments, FitArguments
from unconfound.encoders import read_card
from unconfound.evaluation.figures import read_evaluation
from unconfound.files import write_text
from unconfound.recipes.comparisons import Rows
from unconfound.report.comparison import TITLES, Cell
from unconfound.runs import fit_arguments, run_config
from unconfound.suggestions import nearest_name
from unconfound.training.hardware import choose_device
from unconfound.training.run_folder import HALF_WRITTEN, MARKERS, RunFolder

SEEDS = (0, 1, 2)
MARKER = "comparison.toml"
# Options that decide which samples are judged.
JUDGED = ("data", "data_seed", "test_share", "label", "correlation")


@dataclass(frozen=True)
class Task:
    """A cell, and what it has to do."""

    cell: Cell
    method: str
    arguments: FitArguments[Any]

    @property
    def config(self) -> dict[str, Any]:
        """What its config.toml holds."""
        return run_config(self.method, self.arguments)

    @property
    def title(self) -> str:
        """How logs and its evaluation.json call it."""
        return f"{self.cell.row}, seed {self.cell.seed}"


def completed(asked: Rows, arguments: CompareArguments) -> Rows:
    """Let the arguments override what the rows' file says, and fill in what both leave open.

    Raises:
        ValueError: seeds repeat or are negative, the baseline is no row, or a metric is unknown.
    """
    seeds = arguments.seeds or asked.seeds or SEEDS
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be different numbers of at least 0, got {', '.join(map(str, seeds))}")
    baseline = str(arguments.baseline or asked.baseline or next(iter(asked.recipes)))
    if baseline not in asked.recipes:
        named = [row for row, recipe in asked.recipes.items() if recipe.name == baseline]
        if not named:
            raise ValueError(f"baseline {baseline!r} is no row: {nearest_name(baseline, asked.recipes)}")
        baseline = named[0]
    metrics = arguments.metric or asked.metrics
    for metric in metrics:
        if metric not in TITLES:
            raise ValueError(f"unknown metric {metric!r}: {nearest_name(metric, TITLES)}")
    return Rows(asked.recipes, seeds, baseline, metrics)


def tasks_of(asked: Rows, out: Path, flags: Sequence[str]) -> list[Task]:
    """Make the cells, row by row.

    Args:
        asked: as `completed` returns it.
        out: the comparison's folder.
        flags: of `unconfound fit`, for every row.

    Raises:
        ValueError: a row has an unknown method or key, or does not take one of the flags.
    """
    for flag, instead in (("--seed", "--seeds 0 1 2"), ("--recipe", "the recipe as a row")):
        if any(word == flag or word.startswith(f"{flag}=") for word in flags):
            raise ValueError(f"compare takes {instead}, not {flag}")
    tasks = []
    for row, recipe in asked.recipes.items():
        try:
            method, given = fit_arguments(list(flags), method=None, recipe=recipe)
        except ValueError as error:
            raise ValueError(f"row {row}: {error}") from error
        choose_device(given.training.device)
        for seed in asked.seeds:
            run = f"{row}/seed-{seed}"
            training = replace(given.training, seed=seed)
            held = replace(given, out=out / run, resume=True, overwrite=False, training=training)
            tasks.append(Task(Cell(row, seed, run), method, held))
    return tasks


def check_folder(arguments: CompareArguments, tasks: Sequence[Task]) -> None:
    """Refuse a folder that holds something else, before anything is read or changed.

    Raises:
        ValueError: it holds no comparison, or one that may be neither resumed nor removed, or a run with other options.
    """
    out = arguments.out
    if arguments.resume and arguments.overwrite:
        raise ValueError("--resume goes on with a comparison and --overwrite removes it: give one of them")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out takes a folder")
    if out.exists() and set(out.iterdir()) - set(out.glob(HALF_WRITTEN)):
        if not (out / MARKER).is_file():
            raise ValueError(f"{out} holds files but no comparison: choose another --out")
        if not (arguments.resume or arguments.overwrite):
            raise ValueError(f"{out} holds another comparison: choose another --out, or give --resume or --overwrite")
    for task in tasks:
        folder = RunFolder(out / task.cell.run, resume=not arguments.overwrite, overwrite=arguments.overwrite)
        folder.check()
        if not arguments.overwrite:
            folder.check_config(task.config)


def start_folder(arguments: CompareArguments, asked: Rows, tasks: Sequence[Task]) -> None:
    """Write comparison.toml, which does all of it again; remove earlier runs where that was asked for."""
    if arguments.overwrite:
        for run in arguments.out.glob("*/seed-*"):
            if all((run / marker).is_file() for marker in MARKERS):
                shutil.rmtree(run)
    for left in arguments.out.rglob(HALF_WRITTEN):
        shutil.rmtree(left)
    document = {
        "baseline": asked.baseline,
        "seeds": list(asked.seeds),
        "metrics": list(asked.metrics),
        "rows": row_configs(tasks),
    }
    write_text(arguments.out / MARKER, tomli_w.dumps(document))


def differing_data(tasks: Sequence[Task]) -> str:
    """Say that rows are judged on different samples; empty where they are not."""
    told = []
    for option in JUDGED:
        values = {str(getattr(task.arguments.data, option)): None for task in tasks}
        if len(values) > 1:
            told.append(f"{option} {', '.join(values)}")
    return f"rows are judged on different samples ({'; '.join(told)}), so that differences mean little" if told else ""


def row_configs(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """What the config.toml of each row's runs holds, without the seed."""
    configs = {task.cell.row: task.config for task in tasks}
    for config in configs.values():
        del config["training"]["seed"]
    return configs


def done_cell(task: Task, arguments: CompareArguments) -> Cell | None:
    """Read a cell that was judged; None where it was not, or where it will be run anew."""
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
