"""A comparison as one HTML page: what is above what, each figure with a link to its run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from unconfound.comparison.average import SettingTable, parts
from unconfound.comparison.record import Comparison, Line
from unconfound.evaluation.result_table import Table, table_of_texts
from unconfound.files import write_text
from unconfound.report.comparison_tables import LEGEND, fold_tables, mean_text, measure_table, remarks
from unconfound.report.render import render
from unconfound.report.words import shortened

LONGEST_NAME = 34  # of a row in the drawing, in letters: its figure stands in the same line
WIDTH, LANE, EDGE = 360, 46, 14  # of the drawing: its width, the height of a row, and room for the axis' end labels


def write_comparison(
    path: Path,
    comparison: Comparison,
    *,
    configs: Mapping[str, Mapping[str, Any]],
    command: str,
    environment: Mapping[str, str],
) -> Path:
    """Write one self-contained HTML page that opens without network. The same arguments give the same page.

    Args:
        path: the file, in the folder that the cells' run folders are relative to.
        comparison: at least one cell is done.
        configs: row -> what its runs' config.toml holds, without the seed.
        command: what a reader types to get this page again.
        environment: versions and hardware, in words.

    Returns:
        `path`.
    """
    tables = parts(comparison)
    same, different = _settings(configs)
    others = [row for row in comparison.rows if row != comparison.baseline]
    listed = ("; " if any("," in row for row in others) else ", ").join(others)
    page = render(
        "comparison.html",
        title=f"{listed} against {comparison.baseline}" if others else comparison.baseline,
        comparison=comparison,
        legend=LEGEND,
        meaning=[
            each for part in _headline(comparison, tables) for each in verdicts(part.title, part.lines, comparison)
        ],
        measures=[
            (interval_plot(part.title, part.lines, comparison), measure_table(part, comparison, figures=True))
            for part in tables
        ],
        folds=fold_tables(comparison),
        averaged=len(comparison.settings) > 1,
        remarks=remarks(comparison),
        same=same,
        different=different,
        command=command,
        environment=environment,
    )
    write_text(path, page)
    return path


def verdicts(title: str, lines: Sequence[Line], comparison: Comparison) -> list[str]:
    """Say of one measure how each row compares with the baseline."""
    said, baseline = [], comparison.baseline
    for line in lines:
        if line.difference is None:
            continue
        row = comparison.label(line.row)
        points = f"{100 * abs(line.difference):.1f} points"
        if line.difference_half is None:
            side = "above" if line.difference > 0 else "below"
            said.append(f"{row} is {points} {side} {baseline} with one seed, which shows no spread.")
        elif line.verdict:
            spread = f"± {100 * line.difference_half:.1f}, {line.pairs} seeds"
            said.append(f"{row} is {points} {line.verdict} {baseline} ({spread}).")
        else:
            spread = f"{100 * line.difference:+.1f} ± {100 * line.difference_half:.1f} points, {line.pairs} seeds"
            said.append(f"{row} and {baseline} cannot be distinguished ({spread}).")
    return [f"By {title}:", *said] if said else []


def interval_plot(title: str, lines: Sequence[Line], comparison: Comparison) -> Markup:
    """Draw the mean of each row with its interval, and the baseline's mean as a dashed line.

    Args:
        title: what a screen reader says first.
        lines: of one measure.
        comparison: for its baseline and labels.
    """
    ends = [100 * (line.mean + sign * (line.half or 0.0)) for line in lines for sign in (-1, 1)]
    ticks = MaxNLocator(4).tick_values(min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1)
    height = LANE * len(lines) + 24

    def across(value: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    drawn = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"></line>').format(across(tick), height - 20)
        + Markup('<text class="tick" x="{:.1f}" y="{}">{:g}</text>').format(across(tick), height - 4, round(tick, 6))
        for tick in np.asarray(ticks).tolist()
    ]
    drawn += [
        Markup('<line class="base" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"></line>').format(
            across(100 * line.mean), height - 20
        )
        for line in lines
        if line.row == comparison.baseline
    ]
    for number, line in enumerate(lines):
        middle, half = 100 * line.mean, 100 * (line.half or 0.0)
        shown = shortened(comparison.label(line.row), LONGEST_NAME)
        drawn.append(
            Markup(
                '<text class="name" x="0" y="{0}">{1}</text><text class="value" x="{2}" y="{0}">{3}</text>'
                '<line class="reach" x1="{4:.1f}" x2="{5:.1f}" y1="{6}" y2="{6}"></line>'
                '<circle cx="{7:.1f}" cy="{6}" r="5"></circle>'
            ).format(
                *(LANE * number + 17, shown, WIDTH, mean_text(line)),
                *(across(middle - half), across(middle + half), LANE * number + 32, across(middle)),
            )
        )
    listed = "; ".join(f"{comparison.label(line.row)} {mean_text(line)}" for line in lines)
    return Markup('<svg class="plot intervals" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, f"{title}: {listed}", Markup("").join(drawn)
    )


def _headline(comparison: Comparison, tables: Sequence[SettingTable]) -> list[SettingTable]:
    """Return the table that the page begins with: the first, or of folds the last measure of all folds' means."""
    if not comparison.folds:
        return list(tables[:1])
    table = comparison.folds[0]
    measure, lines = table.columns[-1]
    return [SettingTable(table.title.partition(":")[0], measure, list(lines))]


def _settings(configs: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, str], Table | None]:
    """Part settings into those that all rows share and a table of those that differ."""
    flat = {
        row: {
            key.replace("_", " "): _plain(value)
            for section, held in config.items()
            for key, value in (held.items() if isinstance(held, Mapping) else [(section, held)])
        }
        for row, config in configs.items()
    }
    first = next(iter(flat.values()), {})
    same = {key: value for key, value in first.items() if all(each.get(key) == value for each in flat.values())}
    different = {row: {key: value for key, value in each.items() if key not in same} for row, each in flat.items()}
    return same, table_of_texts("Settings in which the rows differ.", different)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"{key.replace('_', ' ')} {_plain(each)}" for key, each in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
