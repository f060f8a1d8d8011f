"""What a comparison's tables show: each metric on a test set, what it is called, and which are shown unasked."""

from __future__ import annotations

from typing import NamedTuple

from unconfound.evaluation.figures import RETRIEVAL, set_title

TITLES = {
    "classifier": "trained classifier",
    "linear_probe": "linear probe",
    "adam_probe": "100 steps of Adam",
    "svm": "SVM",
    "knn": "kNN",
    "precision_at_1": "precision at 1",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "worst_group_classifier": "worst group of the classifier",
    "worst_group": "worst group",
    "average_group_classifier": "average over samples, of the classifier",
    "average_group": "average over samples",
    "reweighted_average_classifier": "groups weighted as in training, of the classifier",
    "reweighted_average": "groups weighted as in training",
    "background_gap_classifier": "gap of the classifier, mixed-same minus mixed-rand",
    "background_gap": "gap, mixed-same minus mixed-rand",
    "background_gap_knn": "gap of kNN, mixed-same minus mixed-rand",
    "background_gap_precision_at_1": "gap of precision at 1, mixed-same minus mixed-rand",
    "background_gap_map_at_r": "gap of MAP@R, mixed-same minus mixed-rand",
    "precision_at_1_crossed": "precision at 1, original searching mixed-rand",
    "map_at_r_crossed": "MAP@R, original searching mixed-rand",
    "adversarial_share_classifier": "foregrounds that no background fools, by the classifier",
    "adversarial_share": "foregrounds that no background fools",
    "mask_foreground": "mean of the mask on the foreground",
    "mask_background": "mean of the mask on the background",
    "mask_difference": "mean of the mask, foreground minus background",
}
# They stand where other measures name their test set.
BACKGROUND, MORPH = "background", "morph"
SHOWN = (
    "classifier",
    "linear_probe",
    "svm",
    *RETRIEVAL,
    "background_gap_precision_at_1",
    "background_gap_map_at_r",
    "precision_at_1_crossed",
    "map_at_r_crossed",
    "background_gap_classifier",
    "background_gap",
    "adversarial_share_classifier",
    "adversarial_share",
    "worst_group_classifier",
    "worst_group",
    "mask_foreground",
    "mask_background",
)
DIFFERENCES = (
    "background_gap_classifier",
    "background_gap",
    "background_gap_knn",
    "background_gap_precision_at_1",
    "background_gap_map_at_r",
    "mask_difference",
)


class Measure(NamedTuple):
    """A metric on a test set."""

    test: str
    metric: str

    @property
    def unit(self) -> str:
        """What a printed value is in."""
        return "points" if self.metric in DIFFERENCES else "%"

    @property
    def words(self) -> str:
        """The metric in words."""
        return TITLES.get(self.metric, self.metric)

    @property
    def title(self) -> str:
        """The measure in words, with its unit."""
        where = "" if self.test in (BACKGROUND, MORPH) else f", {set_title(self.test)}"
        return f"{self.words}{where} ({self.unit})"
