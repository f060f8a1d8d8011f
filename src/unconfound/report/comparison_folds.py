"""The tables of a comparison over folds: for the terminal, as CSV and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from unconfound.comparison.record import Comparison, FoldTable, Line
from unconfound.report.comparison_texts import difference_text, escaped, mean_text, starred


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


def _texts(line: Line | None, baseline: str) -> tuple[str, str]:
    return ("-", "-") if line is None else (mean_text(line), difference_text(line, baseline))


def _seeds(found: Sequence[Line | None]) -> str:
    seeds = dict.fromkeys(cell.seed for line in found if line is not None for cell in line.cells)
    return ", ".join(map(str, seeds))
