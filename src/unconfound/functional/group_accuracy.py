"""Accuracy by group: what an average hides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int64, Integer
from torch import Tensor

from unconfound.functional.labels import Array, whole_numbers


@dataclass(frozen=True, eq=False)
class GroupAccuracy:
    """Accuracies in [0, 1].

    Args:
        per_group: of each group; NaN where a group has no sample.
        counts: samples of each group.
        worst: the lowest of the groups that have samples.
        average: over all samples.
        reweighted_average: the groups' accuracies weighted by their shares of the training data; None where these are
            not known, or where a group of the training data has no sample here, so that it is undefined.
    """

    per_group: Float[Tensor, " groups"]
    counts: Int[Tensor, " groups"]
    worst: float
    average: float
    reweighted_average: float | None


def group_accuracy(
    predictions: Integer[Array, " samples"],
    labels: Integer[Array, " samples"],
    groups: Integer[Array, " samples"],
    *,
    train_group_counts: Integer[Array, " groups"] | None = None,
) -> GroupAccuracy:
    """Compute worst-group, average and reweighted accuracy.

    Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts" (ICLR 2020), section 3 (worst group) and
    appendix C.1 (on Waterbirds, whose test groups are balanced otherwise than its training groups, the average is
    reweighted by the training groups).

    Args:
        predictions: a class index a sample; a tensor or an array, as all others.
        labels: the right class of each sample.
        groups: the group of each sample, 0 or above. Without `train_group_counts` there are max(groups) + 1 groups.
        train_group_counts: training samples of each group.

    Raises:
        TypeError: anything but integers.
        ValueError: lengths differ, there is no sample, a group is negative or has no entry in `train_group_counts`, or
            the counts are negative or all 0.
    """
    predictions = _one_dimension("predictions", predictions)
    labels, groups = _one_dimension("labels", labels), _one_dimension("groups", groups)
    if not len(predictions) == len(labels) == len(groups):
        raise ValueError(
            "predictions, labels and groups must be one a sample, "
            f"got {len(predictions)}, {len(labels)} and {len(groups)}"
        )
    if len(groups) == 0:
        raise ValueError("predictions, labels and groups must hold at least one sample, got none")
    if groups.min() < 0:
        raise ValueError(f"groups must be 0 or above, got {groups.min().item()}: leave out samples without a group")
    trained = None if train_group_counts is None else _trained(train_group_counts, largest=int(groups.max()))

    known = 0 if trained is None else len(trained)
    correct = (predictions == labels).double()
    counts = torch.bincount(groups, minlength=known)
    right = torch.zeros(len(counts), dtype=torch.float64, device=groups.device).index_add(0, groups, correct)
    per_group = right / counts  # 0 / 0 is NaN: an empty group has no accuracy
    filled = counts > 0
    reweighted = None
    if trained is not None and bool(filled[trained > 0].all()):
        weights = trained.to(per_group) / trained.sum()
        reweighted = float(weights @ torch.where(filled, per_group, 0))
    return GroupAccuracy(
        per_group=per_group,
        counts=counts,
        worst=float(per_group[filled].min()),
        average=float(correct.mean()),
        reweighted_average=reweighted,
    )


def _trained(counts: Array, *, largest: int) -> Tensor:
    """Return the counts of the training samples, checked."""
    counts = _one_dimension("train_group_counts", counts)
    if len(counts) <= largest:
        raise ValueError(
            f"train_group_counts must have an entry a group, 0 where it was not trained on: groups go up to {largest}, "
            f"got {len(counts)} entries"
        )
    if counts.min() < 0 or counts.sum() == 0:
        raise ValueError(
            f"train_group_counts must be 0 or above and not all 0, got {counts.tolist()}: give None if not known"
        )
    return counts


def _one_dimension(name: str, values: Array) -> Int64[Tensor, " values"]:
    values = whole_numbers(name, values)
    if values.dim() != 1:
        raise ValueError(f"{name} must have one dimension, got shape {tuple(values.shape)}")
    return values
