"""Estimated masks beside their images and, where they are known, the true masks."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.data import Dataset
from unconfound.data.core.mask_examples import MaskExamples
from unconfound.evaluation.partitions import class_name
from unconfound.functional.foregrounds.overlap import intersection_over_union
from unconfound.report.pictures import data_uri


@dataclass(frozen=True)
class EstimatedMask:
    """An image, its estimated and its true mask as data URIs.

    Args:
        label: the name of its class, or "no label".
        name: its file, or its position in the training part.
        picture: the image.
        estimate: its estimated mask.
        truth: its true mask; empty where it is not known.
        share: of the image that the estimate covers, in [0, 1].
        overlap: intersection over union of both masks, in [0, 1]; None where the truth is not known.
    """

    label: str
    name: str
    picture: str
    estimate: str
    truth: str
    share: float
    overlap: float | None


def estimated_masks(dataset: Dataset) -> list[EstimatedMask]:
    """Show the images that a data set keeps with estimated masks; none where no masks were estimated."""
    examples = dataset.mask_examples
    if examples is None:
        return []
    overlaps = _overlaps(examples)
    shares = examples.estimates.flatten(1).float().mean(1).tolist()
    return [
        EstimatedMask(
            label=class_name(dataset.train, int(examples.labels[row])),
            name=name,
            picture=data_uri(examples.images[row]),
            estimate=data_uri(examples.estimates[row].float()),
            truth="" if examples.truth is None else data_uri(examples.truth[row].float()),
            share=shares[row],
            overlap=overlaps[row],
        )
        for row, name in enumerate(examples.names)
    ]


def _overlaps(examples: MaskExamples) -> list[float] | list[None]:
    if examples.truth is None:
        return [None] * len(examples.names)
    overlaps: list[float] = intersection_over_union(examples.estimates, examples.truth).tolist()
    return overlaps
