"""The tables of a comparison: for the terminal, as CSV, as Markdown and for its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Group
from rich.text import Text

from unconfound.comparison.average import SettingTable, parts
from unconfound.comparison.record import Comparison, FoldSummary, Line
from unconfound.evaluation.csv_table import csv_text
from unconfound.evaluation.measures import Measure
from unconfound.evaluation.result_table import (
    MISSING,
    Column,
    Link,
    Row,
    Table,
    TableCell,
    cells_of_text,
    escaped,
    markdown_table,
    terminal_table,
)
from unconfound.files import write_text
from unconfound.visible import visible

LEGEND = "Mean over seeds ± 95 % t interval. A difference is paired by seed; above and below: its interval excludes 0."


def write_tables(out: Path, comparison: Comparison, *, command: str, hardware: str) -> None:
    """Write comparison.csv (one line per cell and figure), summary.csv (per row and measure) and comparison.md.

    Over folds, what all of them reach together is in comparison.md too, and in folds.csv (one line per seed and
    figure), folds-summary.csv (per row and measure) and folds.md.

    Args:
        out: the folder.
        comparison: as far as it is known.
        command: what was run.
        hardware: on which machine, in words.
    """
    write_text(out / "comparison.csv", csv_text(cells_table(comparison)))
    write_text(out / "summary.csv", csv_text(summary_table(comparison)))
    write_text(out / "comparison.md", markdown(comparison, command=command, hardware=hardware))
    if comparison.folds:
        each, summed = fold_records(comparison)
        write_text(out / "folds.csv", csv_text(each))
        write_text(out / "folds-summary.csv", csv_text(summed))
        write_text(out / "folds.md", "\n\n".join([LEGEND, *map(_paragraph, fold_tables(comparison))]) + "\n")


def measure_table(part: SettingTable, comparison: Comparison, *, figures: bool = False) -> Table:
    """One row of the comparison per row, with a link to each run folder, relative to the comparison's.

    Args:
        part: a measure, in one setting where there are several.
        comparison: for its baseline and labels.
        figures: a link shows what the run reached, instead of its seed.
    """
    rows = []
    for line in part.lines:
        label = comparison.label(line.row)
        links = (
            Link(
                f"{100 * cell.figures[part.measure].value:.1f}" if figures else str(cell.seed),
                quote(f"{cell.run}/") if cell.run else "",
                f"run folder of {label}, seed {cell.seed}",
            )
            for cell in line.cells
        )
        cells = cells_of_text((mean_text(line), difference_text(line, comparison.baseline), seconds_text(line)))
        rows.append(Row(label, (*cells, TableCell(str(len(line.cells)), links=tuple(links)))))
    columns = (
        Column("mean", wrap=True),
        Column(f"minus {comparison.baseline}", "points", wrap=True),
        Column("training", "s", wrap=True),
        Column("each seed" if figures else "seeds", align="left"),
    )
    return Table(part.title, "row", columns, tuple(rows))


def fold_tables(comparison: Comparison) -> list[Table]:
    """Make a table of each kind of embedding and test set: means of each row, with differences to the baseline."""
    tables = []
    for folds in comparison.folds:
        columns = [
            Column(measure.words, measure.unit, second=f"minus {comparison.baseline}", wrap=True)
            for measure, _ in folds.columns
        ]
        rows = []
        for row, lines in fold_lines(folds).items():
            cells = [
                TableCell(None)
                if line is None
                else TableCell(mean_text(line), difference_text(line, comparison.baseline) or MISSING)
                for line in lines
            ]
            seeds = dict.fromkeys(str(cell.seed) for line in lines if line is not None for cell in line.cells)
            rows.append(Row(comparison.label(row), (*cells, TableCell(", ".join(seeds)))))
        tables.append(Table(folds.title, "row", (*columns, Column("seeds", align="left", wrap=True)), tuple(rows)))
    return tables


def fold_lines(table: FoldSummary) -> dict[str, list[Line | None]]:
    """Return row -> its line under each measure; None where it lacks the figure."""
    rows = dict.fromkeys(line.row for _, lines in table.columns for line in lines)
    found = [{line.row: line for line in lines} for _, lines in table.columns]
    return {row: [lines.get(row) for lines in found] for row in rows}


def cells_table(comparison: Comparison) -> Table:
    """Every figure of every cell, with the 95 % interval of its own test samples; shares in [0, 1] or differences.

    A cell has a setting where there are several, and a candidate where a row has some, selected or not. Where
    candidates are evaluated by leaving one domain out, `left_out` is that domain, and empty for runs on all training
    domains.
    """
    inner = any(cell.left_out for cell in comparison.tried)
    chosen = {cell.run for cell in comparison.cells}
    return _records(
        {
            **({"setting": cell.setting} if comparison.settings else {}),
            "row": cell.row,
            **({"candidate": cell.candidate, "chosen": cell.run in chosen} if comparison.tried else {}),
            **({"left_out": cell.left_out} if inner else {}),
            "seed": cell.seed,
            "test": measure and measure.test,
            "metric": measure and measure.metric,
            "value": figure and figure.value,
            "low": figure and figure.low,
            "high": figure and figure.high,
            "training_seconds": cell.seconds,
            "evaluation_seconds": cell.evaluation_seconds,
            "run": cell.run,
            "status": cell.status,
            "error": cell.error,
        }
        for cell in comparison.runs
        for measure, figure in cell.figures.items() or [(None, None)]
    )


def summary_table(comparison: Comparison) -> Table:
    """Means over seeds and differences to the baseline with the half widths of their 95 % intervals, as shares."""
    return _records(
        {
            **({"setting": setting} if setting else {}),
            "row": line.row,
            **({"label": comparison.label(line.row)} if comparison.labels else {}),
            **_summed_up(line, measure, comparison.baseline),
        }
        for setting, measure, lines in parts(comparison)
        for line in lines
    )


def fold_records(comparison: Comparison) -> tuple[Table, Table]:
    """Return every figure of each seed, and the means over seeds with differences to the baseline, as shares."""
    each: list[dict[str, Any]] = []
    summed: list[dict[str, Any]] = []
    for table in comparison.folds:
        place = {**({"setting": table.setting} if table.setting else {}), "embeddings": table.kind}
        for measure, lines in table.columns:
            for line in lines:
                what = {**place, "row": line.row}
                named = {"test": measure.test, "metric": measure.metric}
                each += [
                    what | named | {"seed": cell.seed, "value": cell.figures[measure].value} for cell in line.cells
                ]
                summed.append(what | _summed_up(line, measure, comparison.baseline))
    return _records(each), _records(summed)


def _summed_up(line: Line, measure: Measure, baseline: str) -> dict[str, Any]:
    return {
        "test": measure.test,
        "metric": measure.metric,
        "seeds": len(line.cells),
        "mean": line.mean,
        "half_width": line.half,
        "baseline": baseline,
        "pairs": line.pairs,
        "difference": line.difference,
        "difference_half_width": line.difference_half,
        "verdict": line.verdict,
    }


def markdown(comparison: Comparison, *, command: str, hardware: str) -> str:
    """One table per measure, whose last column links each run folder, relative to the comparison's."""
    tables = [*fold_tables(comparison), *(measure_table(part, comparison) for part in parts(comparison))]
    paragraphs = [LEGEND, *map(_paragraph, tables)]
    notes = remarks(comparison)
    if notes:
        paragraphs.append("\n".join(f"- {escaped(note)}" for note in notes))
    paragraphs.append(f"`{command}`, on {hardware}.")
    return "\n\n".join(paragraphs) + "\n"


def terminal_tables(comparison: Comparison) -> Group:
    """One table per measure, one below the other, within 100 columns."""
    tables = [*fold_tables(comparison), *(measure_table(part, comparison) for part in parts(comparison))]
    shown = [part for table in tables for part in (terminal_table(table, name_width=28, padding=2), Text())]
    return Group(*shown, *(Text(visible(note)) for note in [LEGEND, *remarks(comparison)]))


def mean_text(line: Line) -> str:
    """A mean in percent or points, with its interval where there is one."""
    return f"{100 * line.mean:.1f}{_half(line.half)}"


def difference_text(line: Line, baseline: str) -> str | None:
    """A difference in points, its interval and on which side of 0 that lies; None if it is not known."""
    if line.row == baseline:
        return "baseline"
    if line.difference is None:
        return None
    return f"{100 * line.difference:+.1f}{_half(line.difference_half)}{line.verdict and f', {line.verdict}'}"


def seconds_text(line: Line) -> str | None:
    """Mean seconds of a training; None where none is known."""
    known = [cell.seconds for cell in line.cells if cell.seconds is not None]
    mean = sum(known) / len(known) if known else 0.0
    return None if not known else f"{mean:,.0f}" if mean >= 10 else f"{mean:.1f}"


def remarks(comparison: Comparison) -> list[str]:
    """Say what the figures do not: single seeds, unequal seeds, cells that failed or are still to come."""
    tables = parts(comparison)
    lines = [line for part in tables for line in part.lines]
    alone = sorted({line.row for line in lines if line.half is None}, key=comparison.rows.index)
    uneven = {len(line.cells) for line in lines} | {line.pairs for line in lines if line.row != comparison.baseline}
    shown = {part.measure.metric for part in tables}
    absent = [metric for metric in comparison.metrics if metric not in shown]
    waiting = [cell.title for cell in comparison.runs if cell.status == "waiting"]
    notes = ([comparison.note] if comparison.note else []) + [*comparison.choices, *comparison.fold_notes]
    if alone:
        notes.append(f"one seed gives no interval: {', '.join(alone)}")
    if len(uneven) > 1:
        notes.append("rows differ in how many seeds they have: a difference counts the seeds that both rows have")
    if len(comparison.settings) > 1:
        notes.append("an average over settings counts the seeds that a row has in every setting")
    if absent:
        notes.append(f"no cell has a figure of {', '.join(absent)}")
    notes += [f"failed: {cell.title}: {cell.error}" for cell in comparison.failed]
    return notes + ([f"still to come: {'; '.join(waiting)}"] if waiting else [])


def _paragraph(table: Table) -> str:
    return f"**{escaped(table.title)}**\n\n{markdown_table(table)}"


def _records(records: Iterable[Mapping[str, Any]]) -> Table:
    """Make a table for CSV: one record per row, all with the same keys."""
    rows = list(records)
    corner, *columns = rows[0] if rows else ("row",)
    made = (Row(each[corner], tuple(TableCell(each[key]) for key in columns)) for each in rows)
    return Table("", corner, tuple(map(Column, columns)), tuple(made))


def _half(half: float | None) -> str:
    return "" if half is None else f" ± {100 * half:.1f}"
