"""`unconfound compare`: recipes x seeds as one table, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unconfound.arguments import CompareArguments
from unconfound.comparison.cell import command
from unconfound.comparison.compare import run_rows
from unconfound.comparison.plan import Task, shown_configs
from unconfound.comparison.record import Comparison
from unconfound.comparison.rows import Rows, rows_of
from unconfound.methods import ALIASES, METHODS
from unconfound.recipes import Recipe
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import write_tables
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
            mean of groups", "validation MAP@R", "leave-one-domain-out" or "oracle".
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
    return run_rows(asked, arguments, flags, write=Writer(arguments.out))


def run_comparison(recipes: str | Sequence[str], arguments: CompareArguments, flags: Sequence[str]) -> Comparison:
    """Do what `compare` says; `flags` are those of `unconfound fit` for every row."""
    rows = rows_of(recipes, methods=[*METHODS, *ALIASES])
    return run_rows(rows, arguments, flags, write=Writer(arguments.out))


@dataclass(frozen=True)
class Writer:
    """Writes a comparison's tables and page into its folder."""

    out: Path

    def __call__(self, comparison: Comparison, asked: Rows, tasks: Sequence[Task], *, ended: bool) -> None:
        around = environment()
        gpus = ", ".join(around["gpus"])
        hardware = f"{around['processor']}, {around['cores']} cores" + (f", {gpus}" if gpus else "")
        write_tables(self.out, comparison, command=command(), hardware=hardware)
        if not ended:
            return
        packages = {f"{name} (package)": version for name, version in around["packages"].items()}
        facts = {
            "python": around["python"],
            **packages,
            "hardware": hardware,
            "git": around["git"] or "not in a checkout",
        }
        page = self.out / "report.html"
        write_comparison(page, comparison, configs=shown_configs(asked, tasks), command=command(), environment=facts)


def _listed(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Values as TOML would have them."""
    return {
        key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for key, value in values.items()
    }
