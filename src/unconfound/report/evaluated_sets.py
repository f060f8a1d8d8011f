"""What encoders were evaluated on, and how a page calls it: test sets, or cross-validation where there are none."""

from __future__ import annotations

from collections.abc import Mapping

from unconfound.data import Dataset, Source
from unconfound.evaluation.crossed import TEST
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import VALIDATION
from unconfound.evaluation.measures import METRICS

CROSS_VALIDATION = TEST
CLASSIFIER, PROBE = METRICS["classifier"].title, METRICS["linear_probe"].title


def evaluated_sources(dataset: Dataset) -> dict[str, Source]:
    """Return the test sets; the labelled samples as "cross-validation" where there is none.

    Raises:
        ValueError: there is neither a test set nor a label.
    """
    if dataset.tests:
        return dataset.tests
    if dataset.labelled is None:
        raise ValueError(
            f"{dataset.train.name} has neither a test set nor labels, so there is nothing to report; give one of them"
        )
    return {CROSS_VALIDATION: dataset.labelled}


def embeddings_of(embeddings: Mapping[str, Embeddings], test: str) -> Embeddings | None:
    """Return the embeddings of what `evaluated_sources` calls `test`; None where they are absent."""
    return embeddings.get("train" if test == CROSS_VALIDATION else test)


def where_evaluated(test: str, *, folds: int | None = None) -> str:
    """Return "on the test set original", or "in 10-fold cross-validation"."""
    if test == CROSS_VALIDATION:
        return f"in {test}" if folds is None else f"in {folds}-fold {test}"
    return f"on {whose_samples(test)}"


def whose_samples(test: str) -> str:
    """Return "the test set original", "the test set" where it has no other name, "the data", or what is no test set."""
    if test == CROSS_VALIDATION:
        return "the data"
    if test == VALIDATION:
        return "the validation part, which is for choosing and no test"
    return "the test set" if test == "test" else f"the test set {test}"
