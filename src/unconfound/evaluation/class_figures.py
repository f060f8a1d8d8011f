"""Accuracy on each class, and how often the class is among the five most probable ones."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import share

TOP = 5


def class_figures(
    predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"], *, names: Sequence[str]
) -> dict[str, Figure]:
    """Give the accuracy on the samples of each class, by its name; classes without samples are left out."""
    return {
        names[label] if label < len(names) else str(label): share(predictions[labels == label] == label)
        for label in labels.unique().tolist()
    }


def top_5(
    logits: Float[Tensor, "samples outputs"], classes: Int[Tensor, " outputs"], labels: Int[Tensor, " samples"]
) -> Figure | None:
    """Give the share of samples whose class is among the five of the highest logits; None of five classes or fewer.

    Of equal logits the class that comes first is the higher.
    """
    if len(classes) <= TOP:
        return None
    highest = classes[logits.sort(dim=1, descending=True, stable=True).indices[:, :TOP]]
    return share((highest == labels[:, None]).any(1))
