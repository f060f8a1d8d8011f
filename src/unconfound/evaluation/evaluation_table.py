"""Evaluations side by side, for the terminal and for documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from unconfound.evaluation.figures import VALIDATION, Evaluation, Figure, retrieved_only

JUDGES = {"classifier": "classifier", "linear_probe": "linear probe"}
RETRIEVED = {"precision_at_1": "P@1", "r_precision": "RP", "map_at_r": "MAP@R"}


@dataclass(frozen=True)
class _Column:
    """A header, in lines that break well in a narrow column, and where its figure by a judge stands."""

    header: tuple[str, ...]
    figure: Callable[[Evaluation, str], Figure | None]

    @property
    def title(self) -> str:
        """The header in one line."""
        return " ".join(self.header).replace("valid- ation", "validation").replace("- ", "-")


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Lay evaluations out for the terminal, an encoder a row, within 100 columns.

    An encoder with a classifier of its own has two rows: that of the classifier, then that of the linear probe. Numbers
    are percent, over the larger side of their 95 % interval; the gap is in percentage points. A figure that the data do
    not allow is a dash. SVM, kNN, P@1 and the worst group are those of the first test set. Of sets of unseen classes
    there are retrieval figures instead: all where there are at most two sets, else MAP@R, and P@1 of the first one.
    """
    table = Table(
        title=_title(evaluations),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    columns = _columns(evaluations)
    lines = max((len(column.header) for column in columns), default=1)
    table.add_column("\n" * (lines - 1) + "encoder", overflow="fold", max_width=12)
    for column in columns:
        header = "\n" * (lines - len(column.header)) + "\n".join(column.header)
        table.add_column(header, justify="right", no_wrap=True)
    for evaluation, judge, name in _rows(evaluations, "\n"):
        table.add_row(name, *(_two_lines(column.figure(evaluation, judge)) for column in columns))
    return table


def markdown_table(evaluations: Sequence[Evaluation]) -> str:
    """Lay evaluations out as a Markdown table: the same columns, each number with both limits of its interval."""
    columns = _columns(evaluations)
    rows = [
        ["encoder", *(column.title for column in columns)],
        ["---", *("---:" for _ in columns)],
    ]
    for evaluation, judge, name in _rows(evaluations, ", "):
        figures = [column.figure(evaluation, judge) for column in columns]
        rows.append([name.replace("|", "\\|"), *("-" if figure is None else str(figure) for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _rows(evaluations: Sequence[Evaluation], between: str) -> list[tuple[Evaluation, str, str]]:
    """Each evaluation by each of its judges, with the row's name; judges are named where any has two."""
    judged = [
        (each, judge)
        for each in evaluations
        for judge in JUDGES
        if judge == "linear_probe" or any("classifier" in figures for figures in each.tests.values())
    ]
    several = any(judge == "classifier" for _, judge in judged)
    return [(each, judge, f"{each.name}{between}{JUDGES[judge]}" if several else each.name) for each, judge in judged]


def _columns(evaluations: Sequence[Evaluation]) -> list[_Column]:
    """The columns of which at least one evaluation has a figure."""
    tests = list(dict.fromkeys(test for evaluation in evaluations for test in evaluation.tests))
    tests.sort(key=lambda test: test == VALIDATION)
    columns = [_Column((*_lines(test), "%"), _accuracy(test)) for test in tests]
    columns.append(_Column(("gap", "points"), lambda each, judge: each.background.get(_by("background_gap", judge))))
    first = tests[0] if tests else ""
    unseen = retrieved_only(evaluations, tests)
    for test in unseen:
        named = _lines(test) if len(tests) > 1 else []
        # All three of every set do not fit.
        left_out = (
            () if len(tests) <= 2 else ("r_precision",) if test == unseen[0] else ("precision_at_1", "r_precision")
        )
        columns += [
            _Column((*named, title, "%"), _of_probe(test, metric))
            for metric, title in RETRIEVED.items()
            if metric not in left_out
        ]
    columns += [
        _Column(header, _of_background(metric))
        for header, metric in (
            (("gap,", "MAP@R", "points"), "background_gap_map_at_r"),
            (("crossed", "MAP@R", "%"), "map_at_r_crossed"),
        )
    ]
    columns += [
        _Column((*title, "%"), _of_probe(first, metric))
        for title, metric in ((("SVM",), "svm"), (("kNN",), "knn"), (("P@1",), "precision_at_1"))
        if first not in unseen
    ]
    columns.append(
        _Column(("worst", "group", "%"), lambda each, judge: each.tests.get(first, {}).get(_by("worst_group", judge)))
    )
    known = [(evaluation, judge) for evaluation in evaluations for judge in JUDGES]
    return [column for column in columns if any(column.figure(*each) is not None for each in known)]


def _accuracy(test: str) -> Callable[[Evaluation, str], Figure | None]:
    return lambda evaluation, judge: evaluation.tests.get(test, {}).get(judge)


def _of_probe(test: str, metric: str) -> Callable[[Evaluation, str], Figure | None]:
    """What no classifier has: it is written beside the linear probe, which judges the embeddings, too."""
    return lambda evaluation, judge: None if judge == "classifier" else evaluation.tests.get(test, {}).get(metric)


def _of_background(metric: str) -> Callable[[Evaluation, str], Figure | None]:
    return lambda evaluation, judge: None if judge == "classifier" else evaluation.background.get(metric)


def _by(metric: str, judge: str) -> str:
    return f"{metric}_classifier" if judge == "classifier" else metric


def _lines(test: str) -> list[str]:
    """Break a test set's name after its hyphens; the part for choosing is marked as what it is."""
    if test == VALIDATION:
        return ["valid-", "ation", "(not a", "test)"]
    words = test.split("-")
    return [f"{word}-" for word in words[:-1]] + words[-1:]


def _title(evaluations: Sequence[Evaluation]) -> str:
    tests = {test for evaluation in evaluations for test in evaluation.tests}
    unseen = retrieved_only(evaluations, sorted(tests))
    told = []
    if len(unseen) < len(tests) or not tests:
        judge = "linear probe"
        if any("classifier" in figures for evaluation in evaluations for figures in evaluation.tests.values()):
            judge = "the encoder's own classifier, and a linear probe"
        told = ["Accuracy in %, ± 95 % interval."]
        told.append(f"{'Cross-validation' if tests == {'cross-validation'} else 'Test sets'}: {judge}.")
    if unseen:
        told.append("Retrieval in %, ± 95 % interval, of classes that were not trained on.")
    if any({"background_gap", "background_gap_map_at_r"} & each.background.keys() for each in evaluations):
        told.append("Gap: mixed-same minus mixed-rand.")
    if any("map_at_r_crossed" in evaluation.background for evaluation in evaluations):
        told.append("Crossed: queries from original, answers from mixed-rand.")
    return " ".join(told) + (" Validation: for choosing, not a test." if VALIDATION in tests else "")


def _two_lines(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    half = max(figure.high - figure.value, figure.value - figure.low)
    return f"{100 * figure.value:.1f}\n±{100 * half:.1f}"
