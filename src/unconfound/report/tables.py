"""The figures of a report as tables of text, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report.entry import Entry
from unconfound.report.judged import CROSS_VALIDATION, judgement
from unconfound.report.strata import StrataPart

MEASURES = {
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
}
CELLS = {
    "full/full": "full, full",
    "full/foreground": "full, foreground",
    "foreground/full": "foreground, full",
    "foreground/foreground": "foreground, foreground",
}
SHOWN_GROUPS = 24
UNKNOWN = "—"


@dataclass(frozen=True)
class Cell:
    """A figure as text; `mark` is a word that sets it apart ("best", "worst")."""

    text: str
    interval: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A named row of cells."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table with one header row and one header column.

    Args:
        caption: what it shows, with the unit.
        corner: what the header column lists.
        columns: the header row.
        rows: as many cells each as there are columns.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def figure_cell(figure: Figure | None, *, mark: str = "") -> Cell:
    """Write a figure in percent or points; an undefined one as a dash."""
    if figure is None:
        return Cell(UNKNOWN)
    return Cell(f"{100 * figure.value:.1f}", f"[{100 * figure.low:.1f}, {100 * figure.high:.1f}]", mark)


def results(entries: Sequence[Entry], *, tests: Sequence[str]) -> Table:
    """Methods against test sets: accuracy of the linear probe (and SVM), and what a swapped background costs."""
    judges = [metric for metric in ("linear_probe", "svm") if _measured(entries, tests, metric)] or ["linear_probe"]
    columns = [(test, metric) for test in tests for metric in judges]
    figures = [[entry.evaluation.tests.get(test, {}).get(metric) for test, metric in columns] for entry in entries]
    best = [_best(column) for column in zip(*figures, strict=True)]
    gaps = [key for key in ("background_gap", "background_gap_knn") if _any(entries, key)]
    titles = {"background_gap": "gap (points)", "background_gap_knn": "gap, kNN (points)"}
    rows = []
    for row, entry in enumerate(entries):
        # Without a foreground there is nothing to be right about: the highest figure there is no virtue.
        marks = ["best" if best[i] == row and test != "only-background" else "" for i, (test, _) in enumerate(columns)]
        cells = [figure_cell(figure, mark=mark) for figure, mark in zip(figures[row], marks, strict=True)]
        cells += [figure_cell(entry.evaluation.background.get(key)) for key in gaps]
        rows.append(Row(entry.name, tuple(cells)))
    judging = "a linear probe and of an SVM" if "svm" in judges else "a linear probe"
    caption = f"Accuracy of {judging} in percent, with 95 % confidence intervals."
    if gaps:
        caption += " Gap: mixed-same minus mixed-rand, in percentage points; near 0 is what you want."
    # One test set is named by the heading.
    named = [
        MEASURES[metric]
        if test == CROSS_VALIDATION
        else test
        if metric == "linear_probe"
        else f"{test}, {MEASURES[metric]}"
        for test, metric in columns
    ]
    return Table(caption, "Encoder", (*named, *(titles[key] for key in gaps)), tuple(rows))


def measures(entries: Sequence[Entry], *, test: str) -> Table:
    """Every measure on one test set."""
    evaluations = [entry.evaluation.tests.get(test, {}) for entry in entries]
    keys = [key for key in MEASURES if any(key in each for each in evaluations)]
    best = [_best([each.get(key) for each in evaluations]) for key in keys]
    rows = (
        Row(
            entry.name,
            tuple(
                figure_cell(each.get(key), mark="best" if best[i] == row and test != "only-background" else "")
                for i, key in enumerate(keys)
            ),
        )
        for row, (entry, each) in enumerate(zip(entries, evaluations, strict=True))
    )
    return Table(
        f"All measures {judgement(test)}, in percent.",
        "Encoder",
        tuple(MEASURES[key] for key in keys),
        tuple(rows),
    )


def four_cells(entries: Sequence[Entry]) -> Table | None:
    """The probe trained on full or foreground images, tested on full or foreground images."""
    shown = [entry for entry in entries if entry.evaluation.cells]
    if not shown:
        return None
    rows = (Row(entry.name, tuple(figure_cell(entry.evaluation.cells.get(key)) for key in CELLS)) for entry in shown)
    caption = "Accuracy of the linear probe in percent. Columns: what it was trained on, what it was tested on."
    return Table(caption, "Encoder", tuple(CELLS.values()), tuple(rows))


def strata(part: StrataPart) -> Table | None:
    """How much of what each stratum goes by is foreground, beside shuffled strata and the foreground's area."""
    if not part.foreground:
        return None
    rows = [Row(f"stratum {number}", (figure_cell(figure),)) for number, figure in enumerate(part.foreground, start=1)]
    rows.append(Row("shuffled strata", (figure_cell(part.control),)))
    rows.append(Row("the foreground's area", (Cell(f"{100 * part.area:.1f}"),)))
    caption = f"Share of what strata go by that lies on the foreground, in percent: mean over {part.samples} images."
    caption += " For shuffled strata, which mean nothing: their mean, and between which 95 % of them lie."
    return Table(caption, "", ("on the foreground",), tuple(rows))


def groups(entries: Sequence[Entry], *, test: str) -> Table | None:
    """Accuracy of each group, the lowest first, with each encoder's worst group marked."""
    figures = [entry.evaluation.groups.get(test, {}) for entry in entries]
    names = list(dict.fromkeys(name for each in figures for name in each))
    if not names:
        return None
    ranked = sorted(names, key=lambda name: min(each[name].value for each in figures if name in each))
    worst = [min(each, key=lambda name, of=each: of[name].value) if each else None for each in figures]  # type: ignore[misc]
    rows = (
        Row(
            name,
            tuple(
                figure_cell(each.get(name), mark="worst" if worst[i] == name and len(each) > 1 else "")
                for i, each in enumerate(figures)
            ),
        )
        for name in ranked[:SHOWN_GROUPS]
    )
    caption = f"Accuracy of the linear probe in each group {judgement(test)}, in percent, lowest first."
    if len(ranked) > SHOWN_GROUPS:
        caption += f" {SHOWN_GROUPS} of {len(ranked)} groups."
    return Table(caption, "Group", tuple(entry.name for entry in entries), tuple(rows))


def facts(entries: Sequence[Entry]) -> Table | None:
    """What was run, a column an encoder."""
    columns: list[Mapping[str, str]] = [
        {**entry.facts, **({"run folder": str(entry.run)} if entry.run else {})} for entry in entries
    ]
    names = list(dict.fromkeys(name for column in columns for name in column))
    if not names:
        return None
    rows = (Row(name, tuple(Cell(column.get(name, UNKNOWN)) for column in columns)) for name in names)
    return Table("How each encoder was made.", "", tuple(entry.name for entry in entries), tuple(rows))


def settings(evaluations: Sequence[Evaluation]) -> Table | None:
    """What was chosen or given while judging."""
    names = list(dict.fromkeys(name for each in evaluations for name in each.settings))
    if not names:
        return None
    rows = (
        Row(
            name.replace("_", " "),
            tuple(Cell(_plain(each.settings.get(name, UNKNOWN))) for each in evaluations),
        )
        for name in names
    )
    caption = "How the encoders were judged."
    return Table(caption, "", tuple(each.name for each in evaluations), tuple(rows))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(entries: Sequence[Entry], tests: Sequence[str], metric: str) -> bool:
    return any(metric in entry.evaluation.tests.get(test, {}) for entry in entries for test in tests)


def _any(entries: Sequence[Entry], key: str) -> bool:
    return any(key in entry.evaluation.background for entry in entries)


def _best(figures: Sequence[Figure | None]) -> int | None:
    known = [(figure.value, row) for row, figure in enumerate(figures) if figure is not None]
    return max(known)[1] if len(known) > 1 else None
