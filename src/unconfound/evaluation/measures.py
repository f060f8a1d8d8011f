"""The catalogue of measures: what each metric is called in every table, its unit, and which are shown unasked."""

from __future__ import annotations

from typing import NamedTuple

from unconfound.evaluation.figures import Evaluation, Figure, set_title
from unconfound.evaluation.result_table import Column


class MetricWords(NamedTuple):
    """How tables call a metric.

    Args:
        title: in full.
        short: in narrow columns, whose table says the rest; empty where that is the title.
        unit: of a printed value.
        shown: whether a comparison shows it unasked.
    """

    title: str
    short: str = ""
    unit: str = "%"
    shown: bool = False


# In the order of the tables.
METRICS = {
    "classifier": MetricWords("trained classifier", "classifier", shown=True),
    "linear_probe": MetricWords("linear probe", shown=True),
    "adam_probe": MetricWords("100 steps of Adam"),
    "exchanged_probe": MetricWords("linear probe fitted on exchanged backgrounds or nuisances", "exchanged probe"),
    "svm": MetricWords("SVM", shown=True),
    "knn": MetricWords("kNN"),
    "precision_at_1": MetricWords("precision at 1", "P@1", shown=True),
    "r_precision": MetricWords("R-precision", "RP", shown=True),
    "map_at_r": MetricWords("MAP@R", shown=True),
    "background_gap_precision_at_1": MetricWords(
        "gap of precision at 1, mixed-same minus mixed-rand", "gap, P@1", "points", shown=True
    ),
    "background_gap_map_at_r": MetricWords(
        "gap of MAP@R, mixed-same minus mixed-rand", "gap, MAP@R", "points", shown=True
    ),
    "precision_at_1_crossed": MetricWords("precision at 1, original searching mixed-rand", "crossed, P@1", shown=True),
    "map_at_r_crossed": MetricWords("MAP@R, original searching mixed-rand", "crossed, MAP@R", shown=True),
    "background_gap_classifier": MetricWords(
        "gap of the classifier, mixed-same minus mixed-rand", "gap", "points", shown=True
    ),
    "background_gap": MetricWords("gap, mixed-same minus mixed-rand", "gap", "points", shown=True),
    "background_gap_exchanged_probe": MetricWords(
        "gap of the probe fitted on exchanged backgrounds or nuisances, mixed-same minus mixed-rand",
        "gap, exchanged probe",
        "points",
    ),
    "background_gap_knn": MetricWords("gap of kNN, mixed-same minus mixed-rand", "gap, kNN", "points"),
    "adversarial_share_classifier": MetricWords(
        "foregrounds that no background fools, by the classifier", "not fooled", shown=True
    ),
    "adversarial_share": MetricWords("foregrounds that no background fools", "not fooled", shown=True),
    "worst_group_classifier": MetricWords("worst group of the classifier", "worst group", shown=True),
    "worst_group": MetricWords("worst group", shown=True),
    "average_group_classifier": MetricWords("average over samples, of the classifier"),
    "average_group": MetricWords("average over samples"),
    "reweighted_average_classifier": MetricWords("groups weighted as in training, of the classifier"),
    "reweighted_average": MetricWords("groups weighted as in training"),
    "mask_foreground": MetricWords("mean of the mask on the foreground", "foreground", shown=True),
    "mask_background": MetricWords("mean of the mask on the background", "background", shown=True),
    "mask_difference": MetricWords("mean of the mask, foreground minus background", "difference", "points"),
}
# They stand where other measures name their test set.
BACKGROUND, MORPH = "background", "morph"
# What the linear probe and a trained classifier are both measured by.
BY_CLASSIFIER = {"linear_probe": "classifier"} | {
    metric: f"{metric}_classifier" for metric in METRICS if f"{metric}_classifier" in METRICS
}


class Measure(NamedTuple):
    """A metric on a test set."""

    test: str
    metric: str

    @property
    def unit(self) -> str:
        """What a printed value is in."""
        return METRICS[self.metric].unit if self.metric in METRICS else "%"

    @property
    def words(self) -> str:
        """The metric in words."""
        return METRICS[self.metric].title if self.metric in METRICS else self.metric

    @property
    def title(self) -> str:
        """The measure in words, with its unit."""
        where = "" if self.test in (BACKGROUND, MORPH) else f", {set_title(self.test)}"
        return f"{self.words}{where} ({self.unit})"

    @property
    def short(self) -> str:
        """The metric in few words, for a narrow column."""
        return METRICS[self.metric].short or METRICS[self.metric].title

    def of(self, evaluation: Evaluation) -> Figure | None:
        """Return its figure; None where that was not measured."""
        return figures_by_test(evaluation).get(self.test, {}).get(self.metric)


def figures_by_test(evaluation: Evaluation) -> dict[str, dict[str, Figure]]:
    """Return test set -> metric -> figure, with reliance on background and masks under names of their own."""
    tests = {test: figures for test, figures in evaluation.tests.items() if figures}
    return {**tests, BACKGROUND: evaluation.background, MORPH: evaluation.morph}


def column(metric: str, *, unit: bool = True) -> Column:
    """Return a column of a metric under its short name; with its unit, or only where that is not percent."""
    measure = Measure("", metric)
    return Column(measure.short, measure.unit if unit or measure.unit != "%" else "")
