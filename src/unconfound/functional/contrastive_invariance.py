"""How contrastive losses change with the scale of their similarities: closed forms, as `invariance` explains.

The scores are the cosine similarities divided by the temperature; embeddings are normalised inside. The matrix of
similarities is held whole: memory is O(batch^2).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from unconfound.functional.labels import check_labels
from unconfound.functional.paired import check_paired
from unconfound.functional.similarity import check_rows, normalize
from unconfound.functional.weighted_mean import weighted_mean


def nt_xent_scale_gradient(
    first: Float[Tensor, "batch features"], second: Float[Tensor, "batch features"], *, temperature: float
) -> Float[Tensor, ""]:
    """Compute g of NT-Xent over two views of each sample.

    With u the similarities divided by the temperature t, and p_i the softmax of u_i over all other rows of both views,
    the mean over all 2N rows i of sum_k p_ik u_ik - u_i,pair(i). This is -t times the derivative of the loss by t. One
    pair has no negatives; its g is 0.

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        temperature: t, above 0.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are no rows, or the temperature is out of its range.
    """
    check_paired(first, second, loss="nt_xent_scale_gradient")
    with torch.autocast(first.device.type, enabled=False):
        scores = _scores(torch.cat([first, second]), temperature)
        pairs = torch.arange(len(scores), device=scores.device).roll(len(first))[:, None]
        return (_among_others(scores) * (scores - scores.gather(1, pairs))).sum(1).mean()


def supervised_nt_xent_scale_gradient(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    temperature: float,
) -> Float[Tensor, "*environments"]:
    """Compute g of NT-Xent over pairs of a class, in the form of pytorch-metric-learning.

    Each anchor a and other row p of its class make a term -log(e_ap / (e_ap + sum_n e_an)), n over the rows of other
    classes, e = exp(u); the loss is the mean over the terms. With m_a the mean of u_an under softmax over n and l_a the
    logarithm of that softmax's sum, a term's g is sigmoid(l_a - u_ap) (m_a - u_ap): O(batch^2) for all terms.

    Args:
        embeddings: of each sample; any scale.
        labels: the class of each, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones. An anchor counts by its weight times
            its number of terms.
        temperature: divides the similarities, above 0.

    Raises:
        TypeError: embeddings or weights are not floating-point, or labels not integers.
        ValueError: no two rows share a label, all do, shapes do not fit, or the temperature is out of its range.
    """
    positive, same = _positives(embeddings, labels)
    if same.all():
        raise ValueError(f"all {len(labels)} rows are of one class, so there is no negative: sample several classes")
    with torch.autocast(embeddings.device.type, enabled=False):
        scores = _scores(embeddings, temperature)
        negatives = scores.masked_fill(same, -torch.inf)
        mean = (torch.softmax(negatives, 1) * scores).sum(1, keepdim=True)
        terms = torch.sigmoid(negatives.logsumexp(1, keepdim=True) - scores) * (mean - scores)
        return weighted_mean((terms * positive).sum(1), weights, positive.sum(1))


def supervised_contrastive_scale_gradient(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    temperature: float,
) -> Float[Tensor, "*environments"]:
    """Compute g of `contrastive.supervised_contrastive`, the mean over anchors that have a positive.

    With p_a the softmax of u_a over all other rows and P(a) the other rows of the anchor's class, an anchor's g is
    sum_k p_ak u_ak - mean_{P(a)} u_ap.

    Args:
        embeddings: of each sample; any scale.
        labels: the class of each, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        temperature: divides the similarities, above 0.

    Raises:
        TypeError: embeddings or weights are not floating-point, or labels not integers.
        ValueError: no two rows share a label, shapes do not fit, or the temperature is out of its range.
    """
    positive, _ = _positives(embeddings, labels)
    with torch.autocast(embeddings.device.type, enabled=False):
        scores = _scores(embeddings, temperature)
        others = positive.sum(1)
        has_positive = others > 0
        attraction = (scores * positive).sum(1) / others.clamp_min(1)
        repulsion = (_among_others(scores) * scores).sum(1)
        return weighted_mean((repulsion - attraction) * has_positive, weights, has_positive)


def _scores(rows: Tensor, temperature: float) -> Tensor:
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be a finite number above 0, got {temperature}")
    rows = normalize(rows)
    return rows @ rows.T / temperature


def _among_others(scores: Tensor) -> Tensor:
    """Each row's softmax over all rows but itself."""
    on = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return torch.softmax(scores.masked_fill(on, -torch.inf), 1)


def _positives(embeddings: Tensor, labels: Tensor) -> tuple[Bool[Tensor, "batch batch"], Bool[Tensor, "batch batch"]]:
    """Which other rows are of a row's class; and which rows are, itself among them."""
    check_rows("embeddings", embeddings)
    labels = check_labels(labels, rows=len(embeddings))
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    if not positive.any():
        raise ValueError(
            f"no two of the {len(labels)} rows share a label, so there is no positive: "
            "use a larger batch, or sample several of a class"
        )
    return positive, same
