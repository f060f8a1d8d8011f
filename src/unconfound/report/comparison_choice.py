"""Rows with candidates: which one stands for its row, by which rule, and what that rule was allowed to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unconfound.evaluation.figures import VALIDATION, Evaluation
from unconfound.report.comparison import Cell, Comparison


@dataclass(frozen=True)
class Rule:
    """How a candidate is chosen.

    Args:
        metrics: of which the first counts that all candidates of a row have: what their own classifiers reach, or a
            linear probe where a row trains no classifier; or retrieval, where classes were not trained on.
        test: the test set is looked at instead of the validation part.
        figure: what is looked at, in words.
        told: behind the row's name in tables.
    """

    metrics: tuple[str, ...]
    test: bool
    figure: str
    told: str

    @property
    def groups(self) -> bool:
        """Whether it takes group labels."""
        return "worst_group" in self.metrics


RULES = {
    "validation": Rule(("classifier", "linear_probe"), False, "validation accuracy", ", chosen by validation accuracy"),
    "validation worst group": Rule(
        ("worst_group_classifier", "worst_group"), False, "the worst group in validation", "*, chosen with group labels"
    ),
    "validation MAP@R": Rule(("map_at_r",), False, "validation MAP@R", ", chosen by validation MAP@R"),
    "oracle": Rule(
        ("classifier", "linear_probe"), True, "accuracy on the test set", ", chosen on the test set (oracle)"
    ),
}
DEFAULT = "validation"


def choose(tried: Iterable[Cell], rule: str) -> tuple[Cell, ...]:
    """Leave one cell of each setting, row and seed: that of the candidate whose figure is highest.

    Of equal figures the first candidate's counts. Candidates that failed are passed over.

    Args:
        tried: the cells of all candidates; those of rows without candidates are returned as they are.
        rule: one of `RULES`. "oracle" looks at the first test set.

    Returns:
        In the order of the first candidates. A cell is "waiting" until all of its candidates were tried, and "failed"
        where all of them failed or none has the figure.
    """
    groups: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in tried:
        groups.setdefault((cell.setting, cell.row, cell.seed), []).append(cell)
    return tuple(cells[0] if not cells[0].candidate else _chosen(cells, RULES[rule]) for cells in groups.values())


def chosen_comparison(
    tried: Sequence[Cell], baseline: str, metrics: tuple[str, ...], note: str, *, rule: str
) -> Comparison:
    """Make a comparison of the chosen cells, which says of each row how it was chosen.

    Args:
        tried: the cells of all candidates of all rows.
        baseline, metrics, note: of the comparison.
        rule: one of `RULES`.
    """
    cells = choose(tried, rule)
    among = {
        cell.row: len({each.candidate for each in tried if each.row == cell.row}) for cell in tried if cell.candidate
    }
    if not among:
        return Comparison(cells, baseline, metrics, note)
    return Comparison(
        cells,
        baseline,
        metrics,
        note,
        tried=tuple(tried),
        labels={row: f"{row}{RULES[rule].told}" for row in among},
        choices=tuple(_choices(cells, among, RULES[rule])),
    )


def _choices(cells: Sequence[Cell], among: Mapping[str, int], rule: Rule) -> Iterator[str]:
    """Say which candidates stand for each row, in a line a row and setting."""
    for setting, row in dict.fromkeys((cell.setting, cell.row) for cell in cells if cell.row in among):
        seeds: dict[str, list[str]] = {}
        for cell in cells:
            if (cell.setting, cell.row, cell.status) == (setting, row, "done"):
                seeds.setdefault(cell.candidate, []).append(str(cell.seed))
        told = "; ".join(f"{candidate} (seed {', '.join(each)})" for candidate, each in seeds.items())
        where = f"{setting}, {row}" if setting else row
        if told:
            yield f"chosen by {rule.figure}, of {among[row]} candidates: {where}: {told}"


def _missing(rule: Rule, row: str) -> str:
    """Say that there is nothing to choose by, and what to do."""
    if rule.test:
        return f"no candidate of {row} has an accuracy on a test set: the data need a labelled one"
    groups = "groups and " if rule.groups else ""
    return (
        f"no candidate of {row} has a figure of {rule.figure}: the data need {groups}a validation part "
        "(--validation-share 0.2)"
    )


def _chosen(cells: Sequence[Cell], rule: Rule) -> Cell:
    first = cells[0]
    if any(cell.status == "waiting" for cell in cells):
        return Cell(first.row, first.seed, "", setting=first.setting)
    done = [cell for cell in cells if cell.evaluation is not None]
    if not done:
        return first
    values = [_values(cell.evaluation, rule) for cell in done if cell.evaluation is not None]
    for metric in rule.metrics:
        if all(metric in each for each in values):
            highest = max(each[metric] for each in values)
            return next(cell for cell, each in zip(done, values, strict=True) if each[metric] == highest)
    return Cell(first.row, first.seed, "", "failed", error=_missing(rule, first.row), setting=first.setting)


def _values(evaluation: Evaluation, rule: Rule) -> dict[str, float]:
    tests = [test for test in evaluation.tests if (test == VALIDATION) != rule.test]
    figures = evaluation.tests[tests[0]] if tests else {}
    return {metric: figures[metric].value for metric in rule.metrics if metric in figures}
