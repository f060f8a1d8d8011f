"""Rows with candidates: which one represents its row, by which rule, and what that rule was allowed to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from unconfound.comparison.record import Cell, Comparison
from unconfound.evaluation.figures import VALIDATION, Evaluation


@dataclass(frozen=True)
class Rule:
    """How a candidate is chosen.

    Args:
        metrics: of which the first counts that all candidates of a row have: what their own classifiers reach, or a
            linear probe where a row trains no classifier; or retrieval, where classes were not trained on.
        test: the test set is looked at instead of the validation part.
        figure: what is looked at, in words.
        suffix: behind the row's name in tables.
        leaves_out: a candidate is evaluated by the mean over runs of its own, each of which leaves one training domain
            out and is evaluated on that; the run that represents the row, trained on all of them, has no say in it.
        mean_of_groups: each metric is the mean of the groups' accuracies, in which a small group counts as a large one.
    """

    metrics: tuple[str, ...]
    test: bool
    figure: str
    suffix: str
    leaves_out: bool = False
    mean_of_groups: bool = False

    @property
    def groups(self) -> bool:
        """Whether it takes group labels."""
        return self.mean_of_groups or "worst_group" in self.metrics


RULES = {
    "validation": Rule(("classifier", "linear_probe"), False, "validation accuracy", ", chosen by validation accuracy"),
    "validation worst group": Rule(
        ("worst_group_classifier", "worst_group"), False, "the worst group in validation", "*, chosen with group labels"
    ),
    "validation mean of groups": Rule(
        ("classifier", "linear_probe"),
        False,
        "mean accuracy of the groups in validation",
        "*, chosen by the mean of groups in validation",
        mean_of_groups=True,
    ),
    "validation MAP@R": Rule(("map_at_r",), False, "validation MAP@R", ", chosen by validation MAP@R"),
    "leave-one-domain-out": Rule(
        ("classifier", "linear_probe"),
        False,
        "mean accuracy on each training domain left out",
        ", chosen by leaving one training domain out",
        leaves_out=True,
    ),
    "oracle": Rule(
        ("classifier", "linear_probe"), True, "accuracy on the test set", ", chosen on the test set (oracle)"
    ),
}
DEFAULT = "validation"


def choose(tried: Iterable[Cell], rule: str) -> tuple[Cell, ...]:
    """Leave one cell of each setting, row and seed: that of the candidate whose figure is highest.

    Of equal figures the first candidate's counts. Candidates that failed, or of which a run that evaluates them failed,
    are passed over.

    Args:
        tried: the cells of all candidates; those of rows without candidates are returned as they are.
        rule: one of `RULES`. "oracle" looks at the first test set, and "leave-one-domain-out" (Gulrajani and Lopez-Paz,
            "In Search of Lost Domain Generalization", ICLR 2021, section 3) at the cells with `left_out` alone.

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
        tried: the cells of all candidates of all rows, and those that evaluate them.
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
        labels={row: f"{row}{RULES[rule].suffix}" for row in among},
        choices=tuple(_choices(cells, among, RULES[rule])),
    )


def _choices(cells: Sequence[Cell], among: Mapping[str, int], rule: Rule) -> Iterator[str]:
    """Say which candidates represent each row, in one line per row and setting."""
    for setting, row in dict.fromkeys((cell.setting, cell.row) for cell in cells if cell.row in among):
        seeds: dict[str, list[str]] = {}
        for cell in cells:
            if (cell.setting, cell.row, cell.status) == (setting, row, "done"):
                seeds.setdefault(cell.candidate, []).append(str(cell.seed))
        seeds_of = "; ".join(f"{candidate} (seed {', '.join(each)})" for candidate, each in seeds.items())
        where = f"{setting}, {row}" if setting else row
        if seeds_of:
            yield f"chosen by {rule.figure}, of {among[row]} candidates: {where}: {seeds_of}"


def _missing(rule: Rule, row: str) -> str:
    """Say that there is nothing to choose by, and what to do."""
    if rule.test:
        return f"no candidate of {row} has an accuracy on a test set: the data need a labelled one"
    if rule.leaves_out:
        return f"no candidate of {row} has an accuracy on each training domain left out: choose another --select"
    groups = "groups and " if rule.groups else ""
    return (
        f"no candidate of {row} has a figure of {rule.figure}: the data need {groups}a validation part "
        "(--validation-share 0.2)"
    )


def _chosen(cells: Sequence[Cell], rule: Rule) -> Cell:
    standing = [cell for cell in cells if not cell.left_out]
    first = standing[0]
    if any(cell.status == "waiting" for cell in cells):
        return Cell(first.row, first.seed, "", setting=first.setting)
    done = [cell for cell in standing if cell.evaluation is not None]
    if not done:
        return first
    validating = [[each for each in cells if each.left_out and each.candidate == cell.candidate] for cell in done]
    if not rule.leaves_out:
        validating = [[cell] for cell in done]
    scored = [
        (cell, _values([each.evaluation for each in runs if each.evaluation is not None], rule))
        for cell, runs in zip(done, validating, strict=True)
        if all(each.evaluation is not None for each in runs)
    ]
    for metric in rule.metrics:
        if scored and all(metric in values for _, values in scored):
            highest = max(values[metric] for _, values in scored)
            return next(cell for cell, values in scored if values[metric] == highest)
    failed = next((each.error for runs in validating for each in runs if each.status == "failed"), "")
    error = f"each candidate failed without one of the domains, the first with: {failed}" if failed else ""
    return Cell(first.row, first.seed, "", "failed", error=error or _missing(rule, first.row), setting=first.setting)


def _values(evaluations: Sequence[Evaluation], rule: Rule) -> dict[str, float]:
    """Return the means of what a rule looks at, where all evaluations have it."""
    looked_at = []
    for evaluation in evaluations:
        tests = [test for test in evaluation.tests if (test == VALIDATION) != rule.test]
        figures = {name: figure.value for name, figure in evaluation.tests[tests[0]].items()} if tests else {}
        looked_at.append(_means_of_groups(evaluation, tests[:1]) if rule.mean_of_groups else figures)
    return {
        metric: fsum(figures[metric] for figures in looked_at) / len(looked_at)
        for metric in rule.metrics
        if looked_at and all(metric in figures for figures in looked_at)
    }


def _means_of_groups(evaluation: Evaluation, tests: Sequence[str]) -> dict[str, float]:
    """Return what the classifier and the probe reach on average over the groups of a set."""
    predictors = {"classifier": evaluation.classifier_groups, "linear_probe": evaluation.groups}
    accuracies = {
        predictor: [figure.value for test in tests for figure in groups.get(test, {}).values()]
        for predictor, groups in predictors.items()
    }
    return {predictor: fsum(each) / len(each) for predictor, each in accuracies.items() if each}
