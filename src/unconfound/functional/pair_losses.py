"""Losses over the pairs and triplets of a labelled batch, in O(batch^2) memory.

All compare rows of unit length: embeddings are normalised inside, in float32 (float64 stays float64), also for
half-precision input and under autocast. NaN or infinity gives NaN. A batch without any positive pair has the loss 0
where only positives are told apart (`triplet_margin`, `margin_loss`, `supervised_nt_xent`), and that of its negatives
elsewhere; a sample that is alone in its class is a negative of the others. Differentiable any number of times,
also forwards.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.labels import check_labels
from unconfound.functional.pair_terms import (
    contrastive_terms,
    cosines,
    distances,
    margin_terms,
    multi_similarity_terms,
    noise_to_signal,
    nt_xent_terms,
    pairs,
    triplet_total,
)
from unconfound.functional.similarity import check_rows


def contrastive(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    *,
    positive_margin: float = 0.0,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Compute the contrastive loss on Euclidean distances d of unit vectors, which lie in [0, 2].

    Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping" (CVPR 2006), without the squares, as in
    "A Metric Learning Reality Check": the mean of [d - positive_margin]+ over the pairs of one class in which it is
    above 0, plus that of [margin - d]+ over the pairs of two.

    Args:
        embeddings: one row a sample; any scale.
        labels: the class of each sample, 0 or above.
        positive_margin: distance under which a pair of one class costs nothing; below 0 it adds a constant.
        margin: distance beyond which a pair of two classes costs nothing.

    Raises:
        TypeError: embeddings are not floating-point, or labels not integers.
        ValueError: shapes do not fit, a label is negative, or an option is no finite number.
    """
    labels = _check(embeddings, labels, positive_margin=positive_margin, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        scores = distances(embeddings, embeddings)
        return contrastive_terms(scores, *pairs(labels), positive_margin, margin).total()


def noise_contrastive(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    *,
    positive_margin: float = 0.0,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Compute `contrastive` with the ratio of noise to signal in place of the distance.

    Yuan et al. (CVPR 2019), see `noise_to_signal`; without their regularizer.

    Args:
        embeddings, labels: as `contrastive`; at least two features.
        positive_margin, margin: as `contrastive`, of ratios, which are 0 or above.

    Raises:
        TypeError, ValueError: as `contrastive`.
    """
    labels = _check(embeddings, labels, positive_margin=positive_margin, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        scores = noise_to_signal(embeddings, embeddings)
        return contrastive_terms(scores, *pairs(labels), positive_margin, margin).total()


def triplet_margin(
    embeddings: Float[Tensor, "batch features"], labels: Integer[Tensor, " batch"], *, margin: float = 0.05
) -> Float[Tensor, ""]:
    """Compute the mean of [d(anchor, positive) - d(anchor, negative) + margin]+ over the triplets that have any.

    Weinberger and Saul, "Distance Metric Learning for Large Margin Nearest Neighbor Classification" (JMLR 2009), on
    Euclidean distances of unit vectors and over all triplets of the batch, of which no list is made.

    Args:
        embeddings, labels: as `contrastive`.
        margin: by which a negative is to be farther than a positive.

    Raises:
        TypeError, ValueError: as `contrastive`.
    """
    labels = _check(embeddings, labels, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        return triplet_total(distances(embeddings, embeddings), *pairs(labels), margin=margin)


def margin_loss(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    *,
    margin: float = 0.2,
    boundary: float | Float[Tensor, " classes"] = 1.2,
) -> Float[Tensor, ""]:
    """Compute the margin loss over all triplets: positives inside a boundary and negatives outside, by a margin.

    Wu et al., "Sampling Matters in Deep Embedding Learning" (ICCV 2017), equation 4: the sum of
    [d(a, p) - b + m]+ + [b - d(a, n) + m]+ over all triplets, divided by how many of these terms are above 0.

    Args:
        embeddings, labels: as `contrastive`.
        margin: m.
        boundary: b, a distance; a tensor of one element, or of one per class, may be learnt.

    Raises:
        TypeError, ValueError: as `contrastive`; or a label without a boundary.
    """
    labels = _check(embeddings, labels, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        scores = distances(embeddings, embeddings)
        edge = torch.as_tensor(boundary, dtype=scores.dtype, device=scores.device).flatten()
        if len(edge) > 1:
            edge = edge[check_labels(labels, rows=len(labels), count=len(edge))]
        return margin_terms(scores, *pairs(labels), margin=margin, boundary=edge).total()


def supervised_nt_xent(
    embeddings: Float[Tensor, "batch features"], labels: Integer[Tensor, " batch"], *, scale: float
) -> Float[Tensor, ""]:
    """Compute NT-Xent over labelled samples: each positive against all samples of other classes.

    As in pytorch-metric-learning: with cosines s, the mean over all pairs (a, p) of one class of
    -log[exp(scale s_ap) / (exp(scale s_ap) + sum_n exp(scale s_an))]; other positives of the anchor are left out. Exact
    at any scale, where that library's fraction underflows in float32 and its gradient ends at 87.

    Args:
        embeddings, labels: as `contrastive`.
        scale: 1 / temperature; above 0.

    Raises:
        TypeError, ValueError: as `contrastive`.
    """
    labels = _check(embeddings, labels, scale=scale)
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    with torch.autocast(embeddings.device.type, enabled=False):
        return nt_xent_terms(scale * cosines(embeddings, embeddings), *pairs(labels)).total()


def multi_similarity(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    *,
    positive_scale: float = 2.0,
    scale: float = 50.0,
    base: float = 0.5,
    epsilon: float | None = None,
) -> Float[Tensor, ""]:
    """Compute the multi-similarity loss, with or without the paper's miner of hard pairs.

    Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning" (CVPR 2019), equations 11
    and 12 (the miner) and 15: with cosines s, the mean over all samples of
    log(1 + sum_P exp(-alpha (s - base))) / alpha + log(1 + sum_N exp(beta (s - base))) / beta.

    Args:
        embeddings, labels: as `contrastive`.
        positive_scale, scale: alpha and beta; above 0.
        base: lambda, a cosine.
        epsilon: of the miner; None: all pairs count.

    Raises:
        TypeError, ValueError: as `contrastive`.
    """
    labels = _check(embeddings, labels, positive_scale=positive_scale, scale=scale, base=base)
    if not (positive_scale > 0 and scale > 0):
        raise ValueError(f"positive_scale and scale must be above 0, got {positive_scale} and {scale}")
    with torch.autocast(embeddings.device.type, enabled=False):
        return multi_similarity_terms(
            cosines(embeddings, embeddings),
            *pairs(labels),
            positive_scale=positive_scale,
            scale=scale,
            base=base,
            epsilon=epsilon,
        ).total()


def _check(embeddings: Tensor, labels: Tensor, **numbers: float) -> Tensor:
    """Return the labels as int64."""
    check_rows("embeddings", embeddings)
    labels = check_labels(labels, rows=len(embeddings))
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{name} must be a finite number, got {number}")
    return labels
