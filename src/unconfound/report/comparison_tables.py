"""A comparison as tables: for the terminal, as CSV and as Markdown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from unconfound.comparison.average import parts
from unconfound.comparison.record import Cell, Comparison, Line
from unconfound.files import write_text
from unconfound.report.comparison_folds import fold_frames, fold_markdown, fold_terminal
from unconfound.report.comparison_texts import difference_text, escaped, mean_text, starred

LEGEND = "Mean over seeds ± 95 % t interval. A difference is paired by seed; above and below: its interval excludes 0."


def write_tables(out: Path, comparison: Comparison, *, command: str, hardware: str) -> None:
    """Write comparison.csv (a line a cell and figure), summary.csv (a line a row and measure) and comparison.md.

    Over folds, what all of them reach together is in comparison.md too, and in folds.csv (a line a seed and figure),
    folds-summary.csv (a line a row and measure) and folds.md.

    Args:
        out: the folder.
        comparison: as far as it is known.
        command: what was run.
        hardware: on which machine, in words.
    """
    write_text(out / "comparison.csv", cells_frame(comparison).to_csv(index=False))
    write_text(out / "summary.csv", summary_frame(comparison).to_csv(index=False))
    write_text(out / "comparison.md", markdown(comparison, command=command, hardware=hardware))
    if comparison.folds:
        each, summed = fold_frames(comparison)
        write_text(out / "folds.csv", each.to_csv(index=False))
        write_text(out / "folds-summary.csv", summed.to_csv(index=False))
        write_text(out / "folds.md", "\n\n".join([LEGEND, *fold_markdown(comparison)]) + "\n")


def cells_frame(comparison: Comparison) -> pd.DataFrame:
    """Every figure of every cell, with the 95 % interval of its own test samples; shares in [0, 1] or differences.

    A cell has a setting where there are several, and a candidate where a row has some, chosen or not. Where candidates
    are judged by leaving one domain out, `left_out` is that domain, and empty of runs on all training domains.
    """
    rows = []
    inner = any(cell.left_out for cell in comparison.tried)
    chosen = {cell.run for cell in comparison.cells}
    for cell in comparison.runs:
        told = {
            "training_seconds": cell.seconds,
            "judging_seconds": cell.judging_seconds,
            "run": cell.run,
            "status": cell.status,
            "error": cell.error,
        }
        for measure, figure in cell.figures.items() or [(None, None)]:
            rows.append(
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
                    **told,
                }
            )
    return pd.DataFrame(rows)


def summary_frame(comparison: Comparison) -> pd.DataFrame:
    """Means over seeds and differences to the baseline with the half widths of their 95 % intervals, as shares."""
    rows = [
        {
            **({"setting": setting} if setting else {}),
            "row": line.row,
            **({"label": comparison.label(line.row)} if comparison.labels else {}),
            "test": measure.test,
            "metric": measure.metric,
            "seeds": len(line.cells),
            "mean": line.mean,
            "half_width": line.half,
            "baseline": comparison.baseline,
            "pairs": line.pairs,
            "difference": line.difference,
            "difference_half_width": line.difference_half,
            "verdict": line.verdict,
        }
        for setting, measure, lines in parts(comparison)
        for line in lines
    ]
    return pd.DataFrame(rows)


def markdown(comparison: Comparison, *, command: str, hardware: str) -> str:
    """A table a measure, whose last column links each run folder, relative to the comparison's."""
    paragraphs = [LEGEND, *fold_markdown(comparison)]
    for part in parts(comparison):
        lines = [
            f"**{escaped(part.title)}**\n",
            f"| row | mean | minus {comparison.baseline} (points) | training (s) | seeds |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        for line in part.lines:
            links = " ".join(f"[{cell.seed}]({address(cell)})" if cell.run else str(cell.seed) for cell in line.cells)
            told = f"{mean_text(line)} | {difference_text(line, comparison.baseline)} | {seconds_text(line)}"
            lines.append(f"| {starred(comparison.label(line.row))} | {told} | {links} |")
        paragraphs.append("\n".join(lines))
    notes = remarks(comparison)
    if notes:
        paragraphs.append("\n".join(f"- {escaped(note)}" for note in notes))
    paragraphs.append(f"`{command}`, on {hardware}.")
    return "\n\n".join(paragraphs) + "\n"


def terminal_table(comparison: Comparison) -> Group:
    """A table a measure, one below the other, within 100 columns."""
    tables: list[Table | Text] = [each for table in fold_terminal(comparison) for each in (table, Text())]
    for part in parts(comparison):
        table = Table(
            title=Text(part.title),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        table.add_column("row", overflow="fold", max_width=28)
        for header in ("mean", f"minus {comparison.baseline}", "seeds", "training (s)"):
            table.add_column(header, justify="right", overflow="fold")
        for line in part.lines:
            difference = difference_text(line, comparison.baseline)
            label = comparison.label(line.row)
            table.add_row(label, mean_text(line), difference, str(len(line.cells)), seconds_text(line))
        tables += [table, Text()]
    return Group(*tables, *(Text(note) for note in [LEGEND, *remarks(comparison)]))


def seconds_text(line: Line) -> str:
    """Mean seconds of a training; a dash where none is known."""
    known = [cell.seconds for cell in line.cells if cell.seconds is not None]
    if not known:
        return "-"
    mean = sum(known) / len(known)
    return f"{mean:,.0f}" if mean >= 10 else f"{mean:.1f}"


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


def address(cell: Cell) -> str:
    """The run folder as a relative link; empty for an average, which has none."""
    return quote(f"{cell.run}/") if cell.run else ""
