"""What a classifier predicts of each sample: its class, and how sure the classifier is of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import LinearProbe


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one classifier.

    Args:
        classes: a class index a sample.
        confidence: the probability that the classifier gives to that class, in [0, 1]; None where it gives none (kNN).
    """

    classes: Int[Tensor, " samples"]
    confidence: Float[Tensor, " samples"] | None = None


def classifier_predictions(classifier: nn.Linear, embeddings: Embeddings) -> Predictions:
    """Predict by the classifier that was trained with the encoder; the smallest of equally probable classes.

    Args:
        classifier: from embeddings to logits of the classes 0, 1, ...; on the CPU.
        embeddings: need no labels.

    Raises:
        ValueError: the classifier takes another number of features, or an embedding is not finite.
    """
    if classifier.in_features != embeddings.features.shape[1]:
        raise ValueError(
            f"the classifier takes {classifier.in_features} features, the embeddings have "
            f"{embeddings.features.shape[1]}: give the classifier that was trained with this encoder"
        )
    embeddings.check_finite()
    with torch.no_grad():
        return _most_probable(classifier(embeddings.features.to(classifier.weight.dtype)))


def probe_predictions(probe: LinearProbe, embeddings: Embeddings) -> Predictions:
    """Predict by a linear probe.

    Raises:
        ValueError: the embeddings have another number of features than the probe, or one is not finite.
    """
    rows = _most_probable(probe.logits(embeddings))
    return Predictions(probe.classes[rows.classes], rows.confidence)


def unfit_classifier(classifier: nn.Linear, *, classes: int) -> str:
    """Say why a classifier cannot evaluate data of so many classes; empty where it can."""
    if classifier.out_features == classes:
        return ""
    return (
        f"the trained classifier is not evaluated: it tells {classifier.out_features} classes apart, "
        f"these are {classes}"
    )


def _most_probable(logits: Float[Tensor, "samples classes"]) -> Predictions:
    confidence, _ = logits.float().softmax(1).max(1)
    return Predictions(logits.argmax(1), confidence)
