"""A comparison over folds: what the encoders of all folds reach, one by one and side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from unconfound.evaluation.figures import VALIDATION, Evaluation, set_title
from unconfound.report.comparison import Cell, Comparison, FoldTable, Line
from unconfound.report.comparison_settings import average_cell
from unconfound.report.comparison_texts import difference_text, escaped, mean_text, starred
from unconfound.report.measures import BACKGROUND, MORPH

KINDS = {
    "separated": "separated, the mean over {} folds",
    "each": "concatenated, {} folds side by side, each normalised before",
    "once": "concatenated, {} folds side by side, normalised once",
}


@dataclass(frozen=True)
class Fold:
    """All folds of one row and seed.

    Args:
        setting: but for the fold.
        row: its name.
        seed: of weights, order and views.
        cells: one a fold, all done.
        together: "each" and "once" -> figures of the folds' embeddings side by side; empty where there are none.
    """

    setting: str
    row: str
    seed: int
    cells: tuple[Cell, ...]
    together: Mapping[str, Evaluation]


def fold_tables(comparison: Comparison, folds: Sequence[Fold]) -> list[FoldTable]:
    """Make a table of each setting, kind and test set, with a line a row: means over seeds, and differences.

    Args:
        comparison: for its baseline, metrics and labels.
        folds: all that there are; a seed counts in the rows that have it.
    """
    tables = []
    for setting in dict.fromkeys(fold.setting for fold in folds):
        here = [fold for fold in folds if fold.setting == setting]
        for kind, words in KINDS.items():
            within = replace(comparison, cells=tuple(_cells(here, kind)), tried=(), folds=(), fold_notes=())
            measures = [measure for measure in within.measures() if measure.test not in (VALIDATION, MORPH)]
            for test in dict.fromkeys(measure.test for measure in measures):
                told = words.format(len(here[0].cells)) + _features(here, kind)
                title = ", ".join(filter(None, (setting, told)))
                named = "" if test == BACKGROUND else f": {set_title(test)}"
                columns = tuple((m, tuple(within.lines(m))) for m in measures if m.test == test)
                tables.append(FoldTable(setting, kind, f"{title}{named}", columns))
    return tables


def fold_lines(table: FoldTable) -> dict[str, list[Line | None]]:
    """Return row -> its line under each measure; None where it lacks the figure."""
    rows = dict.fromkeys(line.row for _, lines in table.columns for line in lines)
    found = [{line.row: line for line in lines} for _, lines in table.columns]
    return {row: [lines.get(row) for lines in found] for row in rows}


def fold_frames(comparison: Comparison) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every figure of each seed, and the means over seeds with differences to the baseline, as shares."""
    each: list[dict[str, Any]] = []
    summed: list[dict[str, Any]] = []
    for table in comparison.folds:
        place = {**({"setting": table.setting} if table.setting else {}), "embeddings": table.kind}
        for measure, lines in table.columns:
            for line in lines:
                what = {**place, "row": line.row, "test": measure.test, "metric": measure.metric}
                each += [what | {"seed": cell.seed, "value": cell.figures[measure].value} for cell in line.cells]
                summed.append(
                    what
                    | {
                        "seeds": len(line.cells),
                        "mean": line.mean,
                        "half_width": line.half,
                        "baseline": comparison.baseline,
                        "pairs": line.pairs,
                        "difference": line.difference,
                        "difference_half_width": line.difference_half,
                        "verdict": line.verdict,
                    }
                )
    return pd.DataFrame(each), pd.DataFrame(summed)


def fold_markdown(comparison: Comparison) -> list[str]:
    """Return a paragraph a table: each measure, and beside it the difference to the baseline in points."""
    paragraphs = []
    for table in comparison.folds:
        headers = [head for m, _ in table.columns for head in (f"{m.words} ({m.unit})", f"minus {comparison.baseline}")]
        lines = [
            f"**{escaped(table.title)}**\n",
            f"| row | {' | '.join(headers)} | seeds |",
            f"| --- |{' ---: |' * len(headers)} --- |",
        ]
        for row, found in fold_lines(table).items():
            cells = [text for line in found for text in _texts(line, comparison.baseline)]
            lines.append(f"| {starred(comparison.label(row))} | {' | '.join(cells)} | {_seeds(found)} |")
        paragraphs.append("\n".join(lines))
    return paragraphs


def fold_terminal(comparison: Comparison) -> list[Table]:
    """Return a table of each for the terminal, the difference to the baseline below each mean."""
    tables = []
    for table in comparison.folds:
        shown = Table(
            title=Text(table.title),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        shown.add_column("row", overflow="fold", max_width=28)
        for measure, _ in table.columns:
            shown.add_column(f"{measure.words} ({measure.unit})", justify="right", overflow="fold", max_width=22)
        for row, found in fold_lines(table).items():
            shown.add_row(comparison.label(row), *("\n".join(_texts(line, comparison.baseline)) for line in found))
        tables.append(shown)
    return tables


def fold_page(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the tables as the page's template takes them."""
    return [
        {
            "title": table.title,
            "measures": [f"{measure.words} ({measure.unit})" for measure, _ in table.columns],
            "rows": [
                {
                    "row": comparison.label(row),
                    "cells": [_texts(line, comparison.baseline) for line in found],
                    "seeds": _seeds(found),
                }
                for row, found in fold_lines(table).items()
            ],
        }
        for table in comparison.folds
    ]


def _cells(folds: Sequence[Fold], kind: str) -> list[Cell]:
    if kind == "separated":
        return [average_cell(fold.cells) for fold in folds]
    return [Cell(fold.row, fold.seed, "", "done", fold.together[kind]) for fold in folds if kind in fold.together]


def _features(folds: Sequence[Fold], kind: str) -> str:
    """Say how many features an embedding has, where that is the same of all rows."""
    judged = [cell.evaluation for fold in folds for cell in fold.cells]
    if kind != "separated":
        judged = [fold.together.get(kind) for fold in folds]
    found = {each.settings.get("features") for each in judged if each is not None}
    return f" ({found.pop():,} features)" if len(found) == 1 and None not in found else ""


def _texts(line: Line | None, baseline: str) -> tuple[str, str]:
    return ("-", "-") if line is None else (mean_text(line), difference_text(line, baseline))


def _seeds(found: Sequence[Line | None]) -> str:
    seeds = dict.fromkeys(cell.seed for line in found if line is not None for cell in line.cells)
    return ", ".join(map(str, seeds))
