"""What the encoders of all folds reach: one by one, and side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unconfound.comparison.average import average_cell
from unconfound.comparison.record import Cell, Comparison, FoldSummary
from unconfound.evaluation.figures import VALIDATION, Evaluation, set_title
from unconfound.evaluation.measures import BACKGROUND, MORPH

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
        cells: one per fold, all done.
        together: "each" and "once" -> figures of the folds' embeddings side by side; empty where there are none.
    """

    setting: str
    row: str
    seed: int
    cells: tuple[Cell, ...]
    together: Mapping[str, Evaluation]


def fold_summaries(comparison: Comparison, folds: Sequence[Fold]) -> list[FoldSummary]:
    """Sum up each setting, kind and test set, with one line per row: means over seeds, and differences.

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
                kind_words = words.format(len(here[0].cells)) + _features(here, kind)
                title = ", ".join(filter(None, (setting, kind_words)))
                named = "" if test == BACKGROUND else f": {set_title(test)}"
                columns = tuple((m, tuple(within.lines(m))) for m in measures if m.test == test)
                tables.append(FoldSummary(setting, kind, f"{title}{named}", columns))
    return tables


def _cells(folds: Sequence[Fold], kind: str) -> list[Cell]:
    if kind == "separated":
        return [average_cell(fold.cells) for fold in folds]
    return [Cell(fold.row, fold.seed, "", "done", fold.together[kind]) for fold in folds if kind in fold.together]


def _features(folds: Sequence[Fold], kind: str) -> str:
    """Say how many features an embedding has, where that is the same of all rows."""
    evaluated = [cell.evaluation for fold in folds for cell in fold.cells]
    if kind != "separated":
        evaluated = [fold.together.get(kind) for fold in folds]
    found = {each.settings.get("features") for each in evaluated if each is not None}
    return f" ({found.pop():,} features)" if len(found) == 1 and None not in found else ""
