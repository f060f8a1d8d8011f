"""What a comparison will do: its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from unconfound.comparison.candidates import candidates_of
from unconfound.comparison.choice import DEFAULT, RULES, Rule
from unconfound.comparison.left_out import without_each_domain
from unconfound.comparison.record import Cell
from unconfound.comparison.rows import Rows
from unconfound.comparison.settings import over_words, refuse_flags, settings_of, value_in_words
from unconfound.devices import choose_device
from unconfound.evaluation.measures import METRICS
from unconfound.methods import METHODS
from unconfound.options.compare import CompareArguments
from unconfound.options.fit import FitArguments
from unconfound.runs import run_config
from unconfound.suggestions import nearest_name

SEEDS = (0, 1, 2)
# Options that decide on which samples a row is evaluated.
EVALUATED = ("data", "data_seed", "test_share", "test_samples", "label", "correlation", "held_out", "unseen_classes")


@dataclass(frozen=True)
class Task:
    """A cell, and what it has to do.

    Args:
        cell: not yet done.
        method: its name.
        arguments: all that the run is made with.
        row: what the row says, without setting, candidate and seed.
        rule: how candidates of the row are chosen from; None where it has none.
    """

    cell: Cell
    method: str
    arguments: FitArguments[Any]
    row: FitArguments[Any]
    rule: Rule | None = None

    @property
    def needs_validation(self) -> bool:
        """Whether the data must have a validation part, to choose by."""
        return self.rule is not None and not self.rule.test and not self.rule.leaves_out

    @property
    def config(self) -> dict[str, Any]:
        """What its config.toml holds."""
        return run_config(self.method, self.arguments)

    @property
    def title(self) -> str:
        """How logs and its evaluation.json call it."""
        return self.cell.title


def planned(rows: Rows, arguments: CompareArguments, flags: Sequence[str]) -> tuple[Rows, list[Task]]:
    """Do what `completed` and `tasks_of` do.

    Raises:
        ValueError, FileNotFoundError: as they; with the name of the comparison where the rows are those of one.
    """
    try:
        asked = completed(rows, arguments)
        return asked, tasks_of(asked, arguments.out, flags)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"comparison {rows.file}: {error}" if rows.file else str(error)) from error


def completed(asked: Rows, arguments: CompareArguments) -> Rows:
    """Let the arguments override what the rows' file says, and fill in what both leave open.

    Raises:
        ValueError: seeds repeat or are negative, the baseline or a row with candidates is no row, or a metric or the
            rule of choosing is unknown.
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
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}: {nearest_name(metric, METRICS)}")
    select = arguments.select or asked.select or DEFAULT
    if select not in RULES:
        raise ValueError(f"cannot choose by {select!r}: {nearest_name(select, RULES)}")
    for row in asked.candidates:
        if row not in asked.recipes:
            raise ValueError(f"candidates of {row!r}, which is no row: {nearest_name(row, asked.recipes)}")
    recipes, over = asked.recipes, over_words(arguments.over) or asked.over
    methods = [METHODS[recipe.method] for recipe in recipes.values() if recipe.method in METHODS]
    if any(method.tested_on_unseen_classes for method in methods):
        # What one row is evaluated on, all are.
        recipes = {row: recipe.with_default("data", "unseen_classes", True) for row, recipe in recipes.items()}
    return replace(asked, recipes=recipes, seeds=seeds, baseline=baseline, metrics=metrics, over=over, select=select)


def tasks_of(asked: Rows, out: Path, flags: Sequence[str]) -> list[Task]:
    """Make the cells: setting by setting, and in each row by row.

    Args:
        asked: as `completed` returns it.
        out: the comparison's folder.
        flags: of `unconfound fit`, for every row.

    Raises:
        ValueError: a row has an unknown method or key, or does not take one of the flags; a setting or candidate is
            malformed; the data have no domains to leave out, where candidates are chosen by that; or two cells would
            share a folder.
        FileNotFoundError: these domains are not there.
    """
    for flag, instead in (("--seed", "--seeds 0 1 2"), ("--recipe", "the recipe as a row")):
        if any(word == flag or word.startswith(f"{flag}=") for word in flags):
            raise ValueError(f"compare takes {instead}, not {flag}")
    refuse_flags(list(asked.over), flags, what="the settings")
    rows = {}
    for row, recipe in asked.recipes.items():
        try:
            rows[row] = candidates_of(recipe, asked.candidates.get(row, ()), flags)
        except ValueError as error:
            raise ValueError(f"row {row}: {error}") from error
        choose_device(rows[row][1].training.device)
    tasks = []
    for setting in settings_of(asked.over, next(iter(rows.values()))[1].data):
        for row, (method, base, candidates) in rows.items():
            rule = RULES[asked.select or DEFAULT] if candidates[0].name else None
            data = replace(base.data, **setting.values)
            # Of the run that represents the row, and of those that evaluate a candidate without one of the domains.
            parts = {"": data}
            if rule is not None and rule.leaves_out:
                try:
                    parts |= without_each_domain(data)
                except ValueError as error:
                    raise ValueError(f"row {row}: {error}") from error
            for candidate, seed, left_out in product(candidates, asked.seeds, parts):
                folders = (
                    setting.name,
                    ", ".join(filter(None, (row, candidate.name))),
                    left_out and f"without {left_out}",
                    f"seed-{seed}",
                )
                run = "/".join(filter(None, folders))
                held = replace(
                    candidate.arguments,
                    out=out / run,
                    resume=True,
                    overwrite=False,
                    data=parts[left_out],
                    training=replace(candidate.arguments.training, seed=seed),
                )
                cell = Cell(row, seed, run, setting=setting.name, candidate=candidate.name, left_out=left_out)
                tasks.append(Task(cell, method, held, base, rule))
    runs = [task.cell.run for task in tasks]
    for run in dict.fromkeys(runs):
        if runs.count(run) > 1:
            raise ValueError(f"a row and a candidate share the folder {run}: give the row another name")
    return tasks


def differing_data(tasks: Sequence[Task]) -> str:
    """Say that rows are evaluated on different samples; empty where they are not, in each of the settings."""
    differing = []
    within = [task for task in tasks if task.cell.setting == tasks[0].cell.setting]
    for option in EVALUATED:
        values = {str(getattr(task.arguments.data, option)): None for task in within}
        if len(values) > 1:
            differing.append(f"{option} {', '.join(values)}")
    return (
        f"rows are evaluated on different samples ({'; '.join(differing)}), so that differences mean little"
        if differing
        else ""
    )


def row_configs(asked: Rows, tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """What the config.toml of each row's runs holds, without the seed and the options of settings; and candidates."""
    configs = {task.cell.row: run_config(task.method, task.row) for task in tasks}
    for row, config in configs.items():
        del config["training"]["seed"]
        for key in asked.over:
            config["data"].pop(key, None)
        if row in asked.candidates:
            config["candidates"] = [dict(values) for values in asked.candidates[row]]
    return configs


def shown_configs(asked: Rows, tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """The same for a reader: with the values of the settings, and how candidates are chosen."""
    configs = row_configs(asked, tasks)
    for config in configs.values():
        config["data"] |= {
            key: f"{', '.join(map(value_in_words, values))} (settings)" for key, values in asked.over.items()
        }
        if "candidates" in config:
            config["chosen by"] = asked.select
    return configs
