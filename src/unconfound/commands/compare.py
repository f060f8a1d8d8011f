"""`unconfound compare`: recipes x seeds as one table, and a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.options.compare import CompareArguments
from unconfound.parsing import parse
from unconfound.recipes import Recipe, flags_of
from unconfound.terminal import print_table

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.comparison.record import Comparison


def compare(
    recipes: str | Sequence[str] | Mapping[str, str | Recipe],
    *,
    metrics: Sequence[str] = (),
    over: Mapping[str, Sequence[Any]] | None = None,
    candidates: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    **options: Any,
) -> Comparison:
    """Train and evaluate every recipe with every seed, and set the rows against a baseline.

    Args:
        recipes: methods, recipes or TOML files (NAME=RECIPE gives a row another name); or the name or path of a whole
            comparison; or recipes by the names of their rows.
        metrics: what tables show, as `--metric` has it; comparison.csv holds every figure.
        over: data option -> values: all rows are run in each of these settings.
        candidates: row -> options of the method or the training of each of its candidates.
        **options: other flags of `unconfound compare`, with underscores, as in `seeds=(0, 1)`, `out="runs/a"` or
            `baseline="random"`, and flags of `unconfound fit` for every row, as in `epochs=3` or `data="table.csv"`.

    Returns:
        The cells with their figures, and what sums them up.

    Raises:
        ValueError, FileNotFoundError: a mistake in the arguments, or every cell failed. That of a single cell is in
            the table instead.
    """
    arguments, flags = parse(
        CompareArguments, flags_of({"metric": tuple(metrics) or None} | options), command="compare", unknown=True
    )
    return _compared(recipes, arguments, flags, over=over, candidates=candidates)


def _compared(
    recipes: str | Sequence[str] | Mapping[str, str | Recipe],
    arguments: CompareArguments,
    flags: Sequence[str],
    *,
    over: Mapping[str, Sequence[Any]] | None = None,
    candidates: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Comparison:
    from unconfound.comparison.rows import rows_of
    from unconfound.comparison.run import run_rows
    from unconfound.options.methods import ALIASES, OPTIONS
    from unconfound.report.comparison_files import write_files

    asked = rows_of(recipes, methods=[*OPTIONS, *ALIASES])
    if over is not None:
        asked = replace(asked, over={key: [*_listed(dict(enumerate(each))).values()] for key, each in over.items()})
    if candidates is not None:
        asked = replace(asked, candidates={row: [_listed(each) for each in given] for row, given in candidates.items()})
    return run_rows(asked, arguments, flags, write=partial(write_files, arguments.out))


def command(words: Sequence[str]) -> None:
    """Do what `unconfound compare` says."""
    flagged = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    given, flags = parse(CompareArguments, words[flagged:], command="compare", unknown=True)

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.comparison.run
        import unconfound.report.comparison_files  # noqa: F401
    comparison = _compared(words[:flagged], given, flags)
    from unconfound.report.comparison_tables import terminal_tables

    print_table(terminal_tables(comparison))
    print(f"Tables: {given.out / 'comparison.md'}, comparison.csv and summary.csv\nReport: {given.out / 'report.html'}")
    if comparison.failed:
        print(f"{len(comparison.failed)} of {len(comparison.runs)} cells failed: --resume tries them again")
    done = [cell for cell in comparison.cells if cell.status == "done"]
    runs = {cell.row: str(given.out / cell.run) for cell in done if cell.setting == done[0].setting}
    pictures = shlex.join(["unconfound", "evaluate", *runs.values(), "--out", str(given.out / "pictures")])
    print(f"Next: open {given.out / 'report.html'}, or for neighbours and maps: {pictures}")


def _listed(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Values as TOML would have them."""
    return {
        key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for key, value in values.items()
    }
