"""How losses of pairs and triplets change with the scale of their distances: closed forms, as `invariance` explains.

The scores are a matrix of distances, margins being no part of them; its diagonal is not looked at. With `weights` a
pair or triplet counts by the weight of its anchor, the row: ours, for the paper weights the losses of samples. Where
nothing is active the loss is 0, and so is g. Memory is O(batch^2) for pairs, O(positive pairs x batch) for triplets.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from unconfound.functional.labels import check_labels
from unconfound.functional.similarity import check_floating
from unconfound.functional.weighted_mean import weighted_mean


def contrastive_scale_gradient(
    distances: Float[Tensor, "batch batch"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    positive_margin: float = 0.0,
    negative_margin: float,
) -> Float[Tensor, "*environments"]:
    """Compute g of the contrastive loss with hinges, averaged over what is active.

    The loss is the mean of [d - positive_margin]+ over pairs of a class where this is above 0, plus the mean of
    [negative_margin - d]+ over pairs of two classes likewise (pytorch-metric-learning's ContrastiveLoss). g is the mean
    of d over active pairs of a class minus that over active pairs of two.

    Args:
        distances: d, 0 or above.
        labels: the class of each sample, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        positive_margin: what two of a class may lie apart.
        negative_margin: what two of different classes should lie apart.

    Raises:
        TypeError: distances or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are fewer than two rows, or a margin is not finite.
    """
    positive, negative = check_pairs("distances", distances, labels)
    check_finite(positive_margin=positive_margin, negative_margin=negative_margin)
    with torch.autocast(distances.device.type, enabled=False):
        distances = wide(distances)
        far = positive & (distances > positive_margin)
        near = negative & (distances < negative_margin)
        return _mean(distances, far, weights) - _mean(distances, near, weights)


def squared_contrastive_scale_gradient(
    distances: Float[Tensor, "batch batch"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    margin: float,
) -> Float[Tensor, "*environments"]:
    """Compute g of the squared contrastive loss, averaged over all pairs of each kind.

    Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping" (CVPR 2006), equation 4, without its
    factors of a half: the mean of d^2 over pairs of a class plus the mean of ([margin - d]+)^2 over pairs of two.
    g = mean of 2 d^2 minus mean of 2 d [margin - d]+.

    Args:
        distances: d, 0 or above.
        labels: the class of each sample, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        margin: what two of different classes should lie apart.

    Raises:
        TypeError: distances or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are fewer than two rows, or the margin is not finite.
    """
    positive, negative = check_pairs("distances", distances, labels)
    check_finite(margin=margin)
    with torch.autocast(distances.device.type, enabled=False):
        distances = wide(distances)
        pushed = 2 * distances * (margin - distances).clamp_min(0)
        return _mean(2 * distances.square(), positive, weights) - _mean(pushed, negative, weights)


def triplet_scale_gradient(
    distances: Float[Tensor, "batch batch"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    margin: float,
) -> Float[Tensor, "*environments"]:
    """Compute g of the triplet loss over all triplets, averaged over the active.

    The loss is the mean of d_ap - d_an + margin over triplets (anchor, positive, negative) where this is above 0;
    g is the mean of d_ap - d_an over these, and so above -margin.

    Args:
        distances: d, 0 or above.
        labels: the class of each sample, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        margin: by how much a negative should lie farther than a positive.

    Raises:
        TypeError: distances or weights are not floating-point, or labels not integers.
        ValueError: there is no triplet, shapes do not fit, or the margin is not finite.
    """
    anchors, ahead, negative = _triplets(distances, labels, margin)
    return _mean(ahead, negative & (ahead + margin > 0), weights, anchors, rows=len(labels))


def soft_triplet_scale_gradient(
    distances: Float[Tensor, "batch batch"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    margin: float = 0.0,
) -> Float[Tensor, "*environments"]:
    """Compute g of the smooth triplet loss, the mean of log(1 + exp(d_ap - d_an + margin)) over all triplets.

    A triplet's g is sigmoid(d_ap - d_an + margin) (d_ap - d_an). Hermans et al., "In Defense of the Triplet Loss"
    (2017), section 2, soft margin.

    Args:
        distances: d, 0 or above.
        labels: the class of each sample, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        margin: by how much a negative should lie farther than a positive.

    Raises:
        TypeError: distances or weights are not floating-point, or labels not integers.
        ValueError: there is no triplet, shapes do not fit, or the margin is not finite.
    """
    anchors, ahead, negative = _triplets(distances, labels, margin)
    return _mean(torch.sigmoid(ahead + margin) * ahead, negative, weights, anchors, rows=len(labels))


def _mean(
    values: Tensor, mask: Tensor, weights: Tensor | None, anchors: Tensor | None = None, *, rows: int = 0
) -> Tensor:
    """The mean over the entries of the mask, weighted by the anchor: that of `anchors`, else the row."""
    with torch.autocast(values.device.type, enabled=False):
        sums, counts = values.masked_fill(~mask, 0).sum(1), mask.sum(1)
        if anchors is not None:
            sums = sums.new_zeros(rows).index_add(0, anchors, sums)
            counts = counts.new_zeros(rows).index_add(0, anchors, counts)
        return weighted_mean(sums, weights, counts)


def _triplets(
    distances: Tensor, labels: Tensor, margin: float
) -> tuple[Int[Tensor, " pairs"], Float[Tensor, "pairs batch"], Bool[Tensor, "pairs batch"]]:
    """The anchor of each positive pair, d_ap - d_an with each row as negative, and where it is one."""
    positive, negative = check_pairs("distances", distances, labels)
    check_finite(margin=margin)
    anchors, positives = positive.nonzero(as_tuple=True)
    negative = negative[anchors]
    if not negative.any():
        raise ValueError(
            f"the {len(labels)} rows hold no triplet: sample at least two classes, one of them at least twice"
        )
    distances = wide(distances)
    return anchors, distances[anchors, positives][:, None] - distances[anchors], negative


def check_pairs(
    name: str, scores: Tensor, labels: Tensor
) -> tuple[Bool[Tensor, "batch batch"], Bool[Tensor, "batch batch"]]:
    """Return which other rows are of each row's class, and which are of other classes.

    Raises:
        TypeError: scores are not floating-point, or labels not integers.
        ValueError: scores are no square matrix of two rows or more, or labels not one a row.
    """
    check_floating(name, scores)
    if scores.dim() != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"{name} must be [batch, batch], of at least 2 rows, got shape {tuple(scores.shape)}")
    labels = check_labels(labels, rows=len(scores))
    same = labels[:, None] == labels
    negative = ~same
    return same.fill_diagonal_(False), negative


def wide(scores: Tensor) -> Tensor:
    """Take to float32; float64 stays."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def check_finite(**options: float) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: with the option's name.
    """
    for name, value in options.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
