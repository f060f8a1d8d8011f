"""A comparison in several settings: their average first, then each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from unconfound.comparison.record import Cell, Comparison, Line
from unconfound.evaluation.figures import VALIDATION, Evaluation, Figure
from unconfound.evaluation.measures import BACKGROUND, MORPH, Measure

AVERAGE = "average over settings"


class SettingTable(NamedTuple):
    """What one table shows."""

    setting: str
    measure: Measure
    lines: list[Line]

    @property
    def title(self) -> str:
        """The measure, and in which setting, if there are any."""
        return f"{self.setting}: {self.measure.title}" if self.setting else self.measure.title


def parts(comparison: Comparison) -> list[SettingTable]:
    """Make the tables: the average over settings, each setting, and last of all those of the validation part."""
    found = [
        SettingTable(setting, measure, within.lines(measure))
        for setting, within in _sections(comparison)
        for measure in within.measures()
    ]
    return [part for last in (False, True) for part in found if (part.measure.test == VALIDATION) == last]


def averaged(comparison: Comparison) -> Comparison:
    """Average over the settings, seed by seed, so that an interval over seeds is one of the average.

    A seed counts where a row has it in every setting, a figure where it has that in every setting.
    """
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in comparison.cells:
        groups.setdefault((cell.row, cell.seed), []).append(cell)
    whole = len(comparison.settings)
    cells = [
        average_cell(cells)
        for cells in groups.values()
        if len(cells) == whole and all(cell.status == "done" for cell in cells)
    ]
    return replace(comparison, cells=tuple(cells))


def _sections(comparison: Comparison) -> list[tuple[str, Comparison]]:
    settings = comparison.settings
    each = [
        (setting, replace(comparison, cells=tuple(cell for cell in comparison.cells if cell.setting == setting)))
        for setting in settings or ("",)
    ]
    return [(AVERAGE, averaged(comparison)), *each] if len(settings) > 1 else each


def average_cell(cells: Sequence[Cell]) -> Cell:
    """One cell that holds the means of cells; it has no run folder."""
    shared = [measure for measure in cells[0].figures if all(measure in cell.figures for cell in cells)]
    tests: dict[str, dict[str, Figure]] = {}
    for measure in shared:
        tests.setdefault(measure.test, {})[measure.metric] = _mean([cell.figures for cell in cells], measure)
    background, morph = tests.pop(BACKGROUND, {}), tests.pop(MORPH, {})
    seconds = [cell.seconds for cell in cells if cell.seconds is not None]
    first = cells[0]
    return Cell(
        first.row,
        first.seed,
        "",
        "done",
        Evaluation(f"{first.row}, seed {first.seed}", tests, background=background, morph=morph),
        seconds=float(np.mean(seconds)) if seconds else None,
    )


def _mean(figures: Sequence[Mapping[Measure, Figure]], measure: Measure) -> Figure:
    """Average a figure; test samples of several settings give it no interval of its own."""
    value = float(np.mean([each[measure].value for each in figures]))
    return Figure(value, value, value, sum(each[measure].samples for each in figures))
