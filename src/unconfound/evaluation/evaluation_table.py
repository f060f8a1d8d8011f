"""Evaluations side by side, an encoder a row: the table of the terminal and of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unconfound.evaluation.figures import RETRIEVAL, VALIDATION, Evaluation, Figure, retrieved_only, set_title
from unconfound.evaluation.measures import BACKGROUND, METRICS, Measure, column, measured_alike
from unconfound.evaluation.result_table import Column, Row, Table, TableCell

FITTED = "linear_probe"
# In the order of an encoder's rows.
PREDICTORS = {
    "classifier": "the encoder's own classifier",
    FITTED: "a linear probe",
    "exchanged_probe": "a linear probe fitted on exchanged backgrounds",
}
WIDTH = 6  # of a header: eleven columns fit a terminal


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Compare encoders; written for the terminal, the table fits 100 columns.

    An encoder has a row for each predictor that its embeddings were measured by: its own classifier, the linear probe
    and the probe fitted on exchanged backgrounds. A figure that the data do not allow is missing. SVM, kNN, P@1 and the
    worst group are those of the first test set. Of sets of unseen classes there are retrieval figures instead: all
    where there are at most two sets, else MAP@R, and P@1 of the first one.
    """
    alike = {predictor: {} if predictor == FITTED else measured_alike(predictor) for predictor in PREDICTORS}
    known = [predictor for predictor in PREDICTORS if any(_measured(each, predictor) for each in evaluations)]

    def figure(evaluation: Evaluation, measure: Measure, predictor: str) -> Figure | None:
        metric = measure.metric if predictor == FITTED else alike[predictor].get(measure.metric, "")
        return Measure(measure.test, metric).of(evaluation)

    columns = [
        (measure, replace(shown, width=WIDTH))
        for measure, shown in _columns(evaluations)
        if any(figure(each, measure, predictor) for each in evaluations for predictor in PREDICTORS)
    ]
    rows = [
        Row(
            each.name,
            tuple(TableCell(figure(each, measure, predictor)) for measure, _ in columns),
            second=METRICS[predictor].short or METRICS[predictor].title if len(known) > 1 else "",
        )
        for each in evaluations
        for predictor in PREDICTORS
        if predictor == FITTED or _measured(each, predictor)
    ]
    return Table(_title(evaluations, known), "encoder", tuple(shown for _, shown in columns), tuple(rows))


def _measured(evaluation: Evaluation, predictor: str) -> bool:
    return any(predictor in figures for figures in evaluation.tests.values())


def _columns(evaluations: Sequence[Evaluation]) -> list[tuple[Measure, Column]]:
    """Return measures in the order of their columns; those of the linear probe stand for all predictors."""
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
    for metric in ("background_gap_map_at_r", "map_at_r_crossed", "adversarial_share"):
        columns.append((Measure(BACKGROUND, metric), column(metric)))
    crowded = any("adversarial_share" in each.background for each in evaluations)
    for metric in ("adam_probe", "svm", "knn", "precision_at_1", "worst_group"):
        # Twelve columns do not fit.
        if first not in unseen and not (crowded and metric == "precision_at_1"):
            columns.append((Measure(first, metric), column(metric)))
    return columns


def _title(evaluations: Sequence[Evaluation], known: Sequence[str]) -> str:
    tests = {test for evaluation in evaluations for test in evaluation.tests}
    unseen = retrieved_only(evaluations, sorted(tests))
    said = []
    if len(unseen) < len(tests) or not tests:
        by = ", ".join(PREDICTORS[predictor] for predictor in known) or PREDICTORS[FITTED]
        said.append("Accuracy in %, ± 95 % interval.")
        said.append(f"{'Cross-validation' if tests == {'cross-validation'} else 'Test sets'}: {by}.")
    if unseen:
        said.append("Retrieval in %, ± 95 % interval, of classes that were not trained on.")
    if any({"background_gap", "background_gap_map_at_r"} & each.background.keys() for each in evaluations):
        said.append("Gap: mixed-same minus mixed-rand.")
    if any("adversarial_share" in each.background for each in evaluations):
        said.append("Not fooled: right on every background of another class.")
    if any("map_at_r_crossed" in evaluation.background for evaluation in evaluations):
        said.append("Crossed: queries from original, answers from mixed-rand.")
    return " ".join([*said, *(["Validation: for model selection, not a test."] if VALIDATION in tests else [])])
