"""`unconfound compare`: recipes x seeds as one table, and a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.recipes import Recipe, flags_of
from unconfound.terminal import print_table

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.comparison.record import Comparison


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
    from unconfound.arguments import CompareArguments
    from unconfound.comparison.rows import rows_of
    from unconfound.comparison.run import run_rows
    from unconfound.options.methods import ALIASES, OPTIONS
    from unconfound.report.comparison_files import write_files

    flags = flags_of(options)
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
    asked = rows_of(recipes, methods=[*OPTIONS, *ALIASES])
    if over is not None:
        asked = replace(asked, over={key: [*_listed(dict(enumerate(each))).values()] for key, each in over.items()})
    if candidates is not None:
        asked = replace(asked, candidates={row: [_listed(each) for each in given] for row, given in candidates.items()})
    return run_rows(asked, arguments, flags, write=partial(write_files, arguments.out))


def command(words: Sequence[str]) -> None:
    """Do what `unconfound compare` says."""
    from unconfound.arguments import CompareArguments
    from unconfound.parsing import parse

    flagged = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    recipes, rest = list(words[:flagged]), list(words[flagged:])
    given, flags = parse(CompareArguments, rest, command="compare", unknown=True)

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.comparison.rows import rows_of
        from unconfound.comparison.run import run_rows
        from unconfound.options.methods import ALIASES, OPTIONS
        from unconfound.report.comparison_files import write_files
    rows = rows_of(recipes, methods=[*OPTIONS, *ALIASES])
    comparison = run_rows(rows, given, flags, write=partial(write_files, given.out))
    if not comparison.finished:
        return
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
