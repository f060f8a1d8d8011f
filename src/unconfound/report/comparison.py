"""Rows of runs against each other: means over seeds, and differences to a baseline, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.paired import mean_interval, paired_interval

TITLES = {
    "linear_probe": "linear probe",
    "adam_probe": "100 steps of Adam",
    "svm": "SVM",
    "knn": "kNN",
    "precision_at_1": "precision at 1",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "worst_group": "worst group",
    "average_group": "average over samples",
    "reweighted_average": "groups weighted as in training",
    "background_gap": "gap, mixed-same minus mixed-rand",
    "background_gap_knn": "gap of kNN, mixed-same minus mixed-rand",
}
BACKGROUND = "background"  # stands where other measures name their test set
SHOWN = ("linear_probe", "svm", "background_gap", "worst_group")


class Measure(NamedTuple):
    """A metric on a test set."""

    test: str
    metric: str

    @property
    def unit(self) -> str:
        """What a printed value is in."""
        return "points" if self.test == BACKGROUND else "%"

    @property
    def title(self) -> str:
        """The measure in words, with its unit."""
        words = TITLES.get(self.metric, self.metric)
        return f"{words} ({self.unit})" if self.test == BACKGROUND else f"{words}, {self.test} ({self.unit})"


@dataclass(frozen=True)
class Cell:
    """One run: a row with one seed.

    Args:
        row: its name.
        seed: of weights, order and views.
        run: the run folder, relative to that of the comparison.
        status: "waiting" was not begun or not ended.
        evaluation: of a cell that is done.
        seconds: of its training.
        error: why it failed, in one line.
    """

    row: str
    seed: int
    run: str
    status: Literal["done", "failed", "waiting"] = "waiting"
    evaluation: Evaluation | None = None
    seconds: float | None = None
    error: str = ""

    @cached_property
    def figures(self) -> Mapping[Measure, Figure]:
        """Its figures by measure; those of single groups are left to its evaluation.json."""
        if self.evaluation is None:
            return {}
        tests = {test: figures for test, figures in self.evaluation.tests.items() if figures}
        by_test = {**tests, BACKGROUND: self.evaluation.background}
        return {Measure(test, metric): figure for test, each in by_test.items() for metric, figure in each.items()}

    @property
    def judging_seconds(self) -> float | None:
        """Of embedding and measuring."""
        spent = {} if self.evaluation is None else self.evaluation.settings.get("seconds", {})
        return round(sum(spent.values()), 3) if spent else None


@dataclass(frozen=True)
class Line:
    """A row under one measure. Values are shares, half widths those of 95 % t intervals.

    Args:
        row: its name.
        cells: those that have the figure.
        mean: over their seeds.
        half: None for one seed, which says nothing about the spread.
        pairs: seeds that the baseline has the figure of, too; 0 for the baseline itself.
        difference: mean of row minus baseline over these seeds; None without pairs.
        difference_half: None with fewer than two pairs.
    """

    row: str
    cells: tuple[Cell, ...]
    mean: float
    half: float | None
    pairs: int = 0
    difference: float | None = None
    difference_half: float | None = None

    @property
    def verdict(self) -> str:
        """Where the interval of the difference lies: "above" or "below" 0; empty where it holds 0 or is not known."""
        if self.difference is None or self.difference_half is None or abs(self.difference) <= self.difference_half:
            return ""
        return "above" if self.difference > 0 else "below"


@dataclass(frozen=True)
class Comparison:
    """Rows x seeds.

    Args:
        cells: in the order of the rows, and of the seeds within a row.
        baseline: the row that the others are compared with.
        metrics: those to show, on every test set; by default the linear probe and SVM on every test set, the cost of a
            swapped background, and the worst group on the first test set.
        note: what a reader must know beside what the figures tell.
    """

    cells: tuple[Cell, ...]
    baseline: str
    metrics: tuple[str, ...] = ()
    note: str = ""

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def failed(self) -> tuple[Cell, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if cell.status == "failed")

    @property
    def finished(self) -> bool:
        """Whether every cell was tried."""
        return all(cell.status != "waiting" for cell in self.cells)

    def measures(self) -> list[Measure]:
        """The measures to show, of which at least one cell has a figure."""
        known = list(dict.fromkeys(measure for cell in self.cells for measure in cell.figures))
        shown = [measure for metric in self.metrics or SHOWN for measure in known if measure.metric == metric]
        if self.metrics:
            return shown
        worst = [measure for measure in shown if measure.metric == "worst_group"]
        return [measure for measure in shown if measure not in worst[1:]]

    def lines(self, measure: Measure) -> list[Line]:
        """Sum a measure up, a line for each row that has a figure."""
        found = {row: [c for c in self.cells if c.row == row and measure in c.figures] for row in self.rows}
        base = {cell.seed: cell.figures[measure].value for cell in found.get(self.baseline, [])}
        lines = []
        for row, cells in found.items():
            if not cells:
                continue
            values = {cell.seed: cell.figures[measure].value for cell in cells}
            mean, half = mean_interval(list(values.values()))
            seeds = [seed for seed in values if seed in base and row != self.baseline]
            pairs = [values[seed] for seed in seeds], [base[seed] for seed in seeds]
            difference, difference_half = paired_interval(*pairs) if seeds else (None, None)
            lines.append(Line(row, tuple(cells), mean, half, len(seeds), difference, difference_half))
        return lines
