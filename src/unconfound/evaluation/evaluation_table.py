"""Evaluations side by side, an encoder a row: the table of the terminal and of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unconfound.evaluation.figures import RETRIEVAL, VALIDATION, Evaluation, Figure, retrieved_only, set_title
from unconfound.evaluation.measures import BACKGROUND, BY_CLASSIFIER, METRICS, Measure, column
from unconfound.evaluation.result_table import Column, Row, Table, TableCell

WIDTH = 6  # of a header: eleven columns fit a terminal


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Compare encoders; written for the terminal, the table fits 100 columns.

    An encoder with a classifier of its own has two rows: that of the classifier, then that of the linear probe, if
    there was one. A figure that the data do not allow is missing. SVM, kNN, P@1 and the worst group are those of the
    first test set, and the probe fitted on exchanged backgrounds is measured on mixed-rand. Of sets of unseen classes
    there are retrieval figures instead: all where there are at most two sets, else MAP@R, and P@1 of the first one.
    """
    owners = [any("classifier" in figures for figures in each.tests.values()) for each in evaluations]
    columns = [
        (measure, replace(shown, width=WIDTH))
        for measure, shown in _columns(evaluations)
        if any(measure.of(each) or _own(measure).of(each) for each in evaluations)
    ]
    rows = []
    for each, owner in zip(evaluations, owners, strict=True):
        if owner:
            cells = tuple(_cell(_own(measure).of(each)) for measure, _ in columns)
            rows.append(Row(each.name, cells, second=METRICS["classifier"].short))
        # A classifier may be measured without a probe beside it, as where the embeddings stay as they are.
        if not owner or any(measure.of(each) for measure, _ in columns):
            cells = tuple(_cell(measure.of(each)) for measure, _ in columns)
            rows.append(Row(each.name, cells, second=METRICS["linear_probe"].title if any(owners) else ""))
    return Table(_title(evaluations, owned=any(owners)), "encoder", tuple(shown for _, shown in columns), tuple(rows))


def _columns(evaluations: Sequence[Evaluation]) -> list[tuple[Measure, Column]]:
    """Return measures in the order of their columns; those of the linear probe stand for the classifier's, too."""
    tests = list(dict.fromkeys(test for evaluation in evaluations for test in evaluation.tests))
    tests.sort(key=lambda test: test == VALIDATION)
    first = tests[0] if tests else ""
    unseen = retrieved_only(evaluations, tests)
    columns = [(Measure(test, "linear_probe"), Column(set_title(test), "%")) for test in tests]
    columns.append((Measure(BACKGROUND, "background_gap"), column("background_gap")))
    for test in unseen:
        # All three of every set do not fit.
        kept = RETRIEVAL if len(tests) <= 2 else ("precision_at_1", "map_at_r") if test == unseen[0] else ("map_at_r",)
        for metric in kept:
            shown = column(metric)
            title = f"{set_title(test)} {shown.title}" if len(tests) > 1 else shown.title
            columns.append((Measure(test, metric), replace(shown, title=title)))
    columns.append((Measure("mixed-rand", "exchanged_probe"), column("exchanged_probe")))
    for metric in ("background_gap_map_at_r", "map_at_r_crossed", "adversarial_share"):
        columns.append((Measure(BACKGROUND, metric), column(metric)))
    crowded = any("adversarial_share" in each.background for each in evaluations)
    for metric in ("adam_probe", "svm", "knn", "precision_at_1", "worst_group"):
        # Twelve columns do not fit.
        if first not in unseen and not (crowded and metric == "precision_at_1"):
            columns.append((Measure(first, metric), column(metric)))
    return columns


def _cell(figure: Figure | None) -> TableCell:
    """Show a figure, or of one from a handful of samples only how many these are."""
    if figure is not None and figure.too_few:
        return TableCell(None, second=f"n = {figure.samples}")
    return TableCell(figure)


def _own(measure: Measure) -> Measure:
    """Return the measure of the classifier; one that nothing has where a classifier is not measured by it."""
    return Measure(measure.test, BY_CLASSIFIER.get(measure.metric, ""))


def _title(evaluations: Sequence[Evaluation], *, owned: bool) -> str:
    tests = {test for evaluation in evaluations for test in evaluation.tests}
    unseen = retrieved_only(evaluations, sorted(tests))
    said = []
    if len(unseen) < len(tests) or not tests:
        by = "the encoder's own classifier, and a linear probe" if owned else "linear probe"
        said.append("Accuracy in %, ± 95 % interval.")
        said.append(f"{'Cross-validation' if tests == {'cross-validation'} else 'Test sets'}: {by}.")
    if unseen:
        said.append("Retrieval in %, ± 95 % interval, of classes that were not trained on.")
    if any({"background_gap", "background_gap_map_at_r"} & each.background.keys() for each in evaluations):
        said.append("Gap: mixed-same minus mixed-rand.")
    if any("exchanged_probe" in each.tests.get("mixed-rand", {}) for each in evaluations):
        said.append(
            "Exchanged probe: on mixed-rand, a linear probe that was fitted on exchanged backgrounds or nuisances."
        )
    if any("adversarial_share" in each.background for each in evaluations):
        said.append("Not fooled: right on every background of another class.")
    if any("map_at_r_crossed" in evaluation.background for evaluation in evaluations):
        said.append("Crossed: queries from original, answers from mixed-rand.")
    return " ".join([*said, *(["Validation: for model selection, not a test."] if VALIDATION in tests else [])])
