"""Evaluations side by side, for the terminal and for documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from unconfound.evaluation.figures import Evaluation, Figure


@dataclass(frozen=True)
class _Column:
    """A header, in lines that break well in a narrow column, and where its figure stands."""

    header: tuple[str, ...]
    figure: Callable[[Evaluation], Figure | None]


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Lay evaluations out for the terminal, an encoder a row, within 100 columns.

    Numbers are percent, over the larger side of their 95 % interval; the gap is in percentage points. A figure that the
    data do not allow is a dash. SVM, kNN, P@1 and the worst group are those of the first test set.
    """
    table = Table(
        title=f"Accuracy in %, ± 95 % interval.{_explained(evaluations)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    columns = _columns(evaluations)
    lines = max((len(column.header) for column in columns), default=1)
    table.add_column("\n" * (lines - 1) + "encoder", overflow="fold", max_width=14)
    for column in columns:
        header = "\n" * (lines - len(column.header)) + "\n".join(column.header)
        table.add_column(header, justify="right", no_wrap=True)
    for evaluation in evaluations:
        table.add_row(evaluation.name, *(_two_lines(column.figure(evaluation)) for column in columns))
    return table


def markdown_table(evaluations: Sequence[Evaluation]) -> str:
    """Lay evaluations out as a Markdown table: the same columns, each number with both limits of its interval."""
    columns = _columns(evaluations)
    rows = [
        ["encoder", *(" ".join(column.header).replace("- ", "-") for column in columns)],
        ["---", *("---:" for _ in columns)],
    ]
    for evaluation in evaluations:
        figures = [column.figure(evaluation) for column in columns]
        name = evaluation.name.replace("|", "\\|")
        rows.append([name, *("-" if figure is None else str(figure) for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _columns(evaluations: Sequence[Evaluation]) -> list[_Column]:
    """The columns of which at least one evaluation has a figure."""
    tests = list(dict.fromkeys(test for evaluation in evaluations for test in evaluation.tests))
    columns = [_Column((*_lines(test), "%"), _test_figure(test, "linear_probe")) for test in tests]
    columns.append(_Column(("gap", "points"), lambda evaluation: evaluation.background.get("background_gap")))
    first = tests[0] if tests else ""
    columns += [
        _Column((*title, "%"), _test_figure(first, metric))
        for title, metric in (
            (("SVM",), "svm"),
            (("kNN",), "knn"),
            (("P@1",), "precision_at_1"),
            (("worst", "group"), "worst_group"),
        )
    ]
    return [column for column in columns if any(column.figure(evaluation) is not None for evaluation in evaluations)]


def _test_figure(test: str, metric: str) -> Callable[[Evaluation], Figure | None]:
    return lambda evaluation: evaluation.tests.get(test, {}).get(metric)


def _lines(test: str) -> list[str]:
    """Break a test set's name after its hyphens."""
    words = test.split("-")
    return [f"{word}-" for word in words[:-1]] + words[-1:]


def _explained(evaluations: Sequence[Evaluation]) -> str:
    if any("background_gap" in evaluation.background for evaluation in evaluations):
        return " Test sets: linear probe. Gap: mixed-same minus mixed-rand."
    tests = {test for evaluation in evaluations for test in evaluation.tests}
    return " Cross-validation: linear probe." if tests == {"cross-validation"} else " Test sets: linear probe."


def _two_lines(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    half = max(figure.high - figure.value, figure.value - figure.low)
    return f"{100 * figure.value:.1f}\n±{100 * half:.1f}"
