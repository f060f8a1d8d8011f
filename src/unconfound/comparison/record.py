"""Rows of runs against each other: means over seeds, and differences to a baseline, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from unconfound.evaluation.figures import RETRIEVAL, VALIDATION, Evaluation, Figure, retrieved_only
from unconfound.evaluation.intervals import mean_interval, paired_interval
from unconfound.evaluation.measures import METRICS, Measure, figures_by_test


@dataclass(frozen=True)
class Cell:
    """One run: a row with one seed, in one setting and of one candidate where there are several.

    A candidate may also have runs that only evaluate it: each leaves one training domain out.

    Args:
        row: its name.
        seed: of weights, order and views.
        run: the run folder, relative to that of the comparison; empty where no single one stands for the cell.
        status: "waiting" was not begun or not ended.
        evaluation: of a cell that is done.
        seconds: of its training.
        error: why it failed, in one line.
        setting: of the data, in words; empty where the comparison has one only.
        candidate: what the row was trained with, in words; empty where it has no candidates.
        left_out: the training domain that it was trained without and is evaluated on, to choose between candidates;
            empty for a run that may represent its row.
    """

    row: str
    seed: int
    run: str
    status: Literal["done", "failed", "waiting"] = "waiting"
    evaluation: Evaluation | None = None
    seconds: float | None = None
    error: str = ""
    setting: str = ""
    candidate: str = ""
    left_out: str = ""

    @property
    def title(self) -> str:
        """How logs and its evaluation.json call it."""
        without = f"without {self.left_out}" if self.left_out else ""
        return ", ".join(filter(None, (self.setting, self.row, self.candidate, without, f"seed {self.seed}")))

    @cached_property
    def figures(self) -> Mapping[Measure, Figure]:
        """Its figures by measure; those of single groups are left to its evaluation.json."""
        if self.evaluation is None:
            return {}
        by_test = figures_by_test(self.evaluation)
        return {Measure(test, metric): figure for test, each in by_test.items() for metric, figure in each.items()}

    @property
    def evaluation_seconds(self) -> float | None:
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


class FoldSummary(NamedTuple):
    """What the encoders of all folds reach.

    Args:
        setting: what the setting is called but for its fold; empty where folds are all that settings differ in.
        kind: "separated" (means over folds), or "each" or "once" (their embeddings side by side).
        title: in words, with the test set.
        columns: measures of that test set, with one line per row.
    """

    setting: str
    kind: str
    title: str
    columns: tuple[tuple[Measure, tuple[Line, ...]], ...]


@dataclass(frozen=True)
class Comparison:
    """Rows x seeds.

    Args:
        cells: in the order of the settings, of the rows within a setting, and of the seeds within a row; of a row with
            candidates those that were chosen.
        baseline: the row that the others are compared with.
        metrics: those to show, on every test set; by default the trained classifier, the linear probe and SVM on every
            test set, retrieval on those whose classes were not trained on, the cost of a swapped background, the worst
            group on the first test set, and the means of masks. What is measured on the validation part comes last.
        note: what a reader must know besides what the figures say.
        tried: the cells of all candidates of all rows, chosen or not, and those that only evaluate a candidate; by
            default the cells.
        labels: row -> how tables call it, where they say by which rule it was chosen.
        choices: what was chosen, in words.
        folds: of a comparison over `fold`, what all folds reach together.
        fold_notes: what of that is missing, and why.
    """

    cells: tuple[Cell, ...]
    baseline: str
    metrics: tuple[str, ...] = ()
    note: str = ""
    tried: tuple[Cell, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    folds: tuple[FoldSummary, ...] = ()
    fold_notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings; empty where the comparison has one only, without a name."""
        return tuple(filter(None, dict.fromkeys(cell.setting for cell in self.cells)))

    @property
    def runs(self) -> tuple[Cell, ...]:
        """The cells that are run folders, chosen or not."""
        return self.tried or self.cells

    @property
    def failed(self) -> tuple[Cell, ...]:
        """The cells that failed, and those that no candidate could be chosen for."""
        unchosen = [cell for cell in self.cells if not cell.run]
        return tuple(cell for cell in (*self.runs, *unchosen) if cell.status == "failed")

    def label(self, row: str) -> str:
        """How tables call a row."""
        return self.labels.get(row, row)

    def measures(self) -> list[Measure]:
        """The measures to show, of which at least one cell has a figure."""
        known = list(dict.fromkeys(measure for cell in self.cells for measure in cell.figures))
        metrics = self.metrics or [metric for metric, each in METRICS.items() if each.shown]
        shown = [measure for metric in metrics for measure in known if measure.metric == metric]
        # What candidates are chosen by is no result: it comes last.
        shown.sort(key=lambda measure: measure.test == VALIDATION)
        if self.metrics:
            return shown
        # Beside an accuracy it would be one table too many.
        unseen = retrieved_only([c.evaluation for c in self.cells if c.evaluation], {each.test for each in known})
        shown = [measure for measure in shown if measure.metric not in RETRIEVAL or measure.test in unseen]
        for metric in ("worst_group_classifier", "worst_group"):
            rest = [measure for measure in shown if measure.metric == metric][1:]
            shown = [measure for measure in shown if measure not in rest]
        return shown

    def lines(self, measure: Measure) -> list[Line]:
        """Sum a measure up, a line for each row that has a figure.

        Raises:
            ValueError: there are several settings, over which `average.averaged` averages.
        """
        if len(self.settings) > 1:
            raise ValueError(
                f"{measure.title} is summed up in one setting, not in {len(self.settings)}: take a table of "
                "unconfound.comparison.average.parts(comparison)"
            )
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
