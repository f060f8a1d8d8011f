"""Means over the samples of each environment, to which a sample belongs by a weight."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from unconfound.functional.labels import check_labels, whole_numbers
from unconfound.functional.similarity import check_floating


def weighted_mean(
    values: Float[Tensor, "batch *columns"],
    weights: Float[Tensor, "batch *environments"] | None,
    counts: Num[Tensor, " batch"] | None = None,
) -> Float[Tensor, "..."]:
    """Compute sum_i w_i v_i / sum_i w_i n_i in each environment.

    Args:
        values: v, of each sample.
        weights: w, 0 or above: [batch, environments], or [batch] for one environment; None for equal ones.
        counts: n, of how many things each row of `values` is the sum; None for one each.

    Returns:
        [*columns], or [environments, *columns] for weights [batch, environments]; 0 for an environment in which nothing
        has weight.

    Raises:
        TypeError: weights are not floating-point.
        ValueError: there is not one row of weights a sample.
    """
    if weights is None:
        weights = values.new_ones(len(values))
    check_weights(weights, rows=len(values))
    dtype = torch.promote_types(values.dtype, weights.dtype)
    by_environment, values = weights.to(dtype).movedim(0, -1), values.to(dtype)
    sums = (by_environment @ values.reshape(len(values), -1)).reshape((*weights.shape[1:], *values.shape[1:]))
    sizes = by_environment.sum(-1) if counts is None else by_environment @ counts.to(dtype)
    sizes = torch.where(sizes == 0, 1, sizes)
    mean: Tensor = sums / sizes.reshape((*sizes.shape, *[1] * (values.dim() - 1)))
    return mean


def check_weights(weights: Tensor, *, rows: int) -> None:
    """Refuse anything but floating-point weights, one a row or one a row and environment.

    Raises:
        TypeError: weights are not floating-point.
        ValueError: they have another shape.
    """
    check_floating("weights", weights)
    if weights.dim() not in (1, 2) or len(weights) != rows:
        raise ValueError(f"weights must be [{rows}] or [{rows}, environments], got shape {tuple(weights.shape)}")


def check_classes(scores: Tensor, labels: Tensor, *, name: str = "logits", least: int = 1) -> Int64[Tensor, " batch"]:
    """Refuse anything but a floating-point score of each class and one class index a row.

    Args:
        scores: [batch, classes].
        labels: [batch], from 0 to classes - 1.
        name: how the error calls the scores.
        least: classes that this needs.

    Returns:
        The labels as int64.

    Raises:
        TypeError: scores are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are no rows or too few classes, or (found on the CPU alone) a label is out
            of range.
    """
    check_floating(name, scores)
    labels = whole_numbers("labels", labels)
    if scores.dim() != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"{name} must be [batch, classes] and labels [batch], "
            f"got shapes {tuple(scores.shape)} and {tuple(labels.shape)}"
        )
    if len(scores) == 0 or scores.shape[1] < least:
        raise ValueError(
            f"{name} must hold at least one row and {least} class{'es' * (least > 1)}, got shape {tuple(scores.shape)}"
        )
    return check_labels(labels, rows=len(scores), count=scores.shape[1])
