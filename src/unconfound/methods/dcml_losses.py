"""The loss of an environment, and how it would change if all its scores were scaled: what DCML is made of.

A loss that is a softmax over scores against proxies has both in closed form; any other that is a mean over elements
(pairs, triplets) has its derivative by forward differentiation, and each element the weight of its anchor.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.invariance import scale_gradient, softmax_sample_scale_gradients, softmax_scale_gradient
from unconfound.methods.labelled import cross_entropy
from unconfound.methods.metric_losses import MetricLoss


def risk_and_slope(
    loss: MetricLoss,
    embeddings: Float[Tensor, "batch features"],
    labels: Int[Tensor, " batch"],
    weights: Float[Tensor, " batch"],
    *,
    per_class: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, " multipliers"]]:
    """Return the weighted mean of a loss, and its derivative by what multiplies the scores.

    Args:
        loss: has elements.
        embeddings, labels: of the batch of all processes.
        weights: of its samples; at least 0, with a sum above 0.
        per_class: multiply the logits of each class by a number of its own; without effect on losses of pairs, which
            know no classes.

    Returns:
        The loss, and one derivative or one a class.
    """
    if loss.has_logits:
        logits = loss.logits(embeddings, labels)
        weights = weights.to(logits.dtype)
        risk = (weights * cross_entropy(logits, labels)).sum() / weights.sum()
        return risk, torch.atleast_1d(softmax_scale_gradient(logits, labels, weights, per_class=per_class))

    def weighted(scale: Tensor) -> Tensor:
        losses, anchors = loss.elements(embeddings, labels, scale=scale)
        own = weights[anchors].to(losses.dtype)
        return (own * losses).sum() / own.sum().clamp_min(torch.finfo(losses.dtype).tiny)

    one = _one(embeddings)
    return weighted(one), torch.atleast_1d(scale_gradient(weighted, one))


def sample_slopes(
    loss: MetricLoss, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"], *, per_class: bool
) -> Float[Tensor, "batch multipliers"]:
    """Return that derivative of each sample's loss, or of the mean over its elements: 0 where it is none's anchor.

    Arguments are those of `risk_and_slope`.
    """
    if loss.has_logits:
        slopes = softmax_sample_scale_gradients(loss.logits(embeddings, labels), labels, per_class=per_class)
        return slopes if per_class else slopes[:, None]
    _, anchors = loss.elements(embeddings, labels)
    slopes = scale_gradient(lambda scale: loss.elements(embeddings, labels, scale=scale)[0], _one(embeddings))
    sums = slopes.new_zeros(len(labels)).index_add(0, anchors, slopes)
    counts = slopes.new_zeros(len(labels)).index_add(0, anchors, torch.ones_like(slopes))
    return (sums / counts.clamp_min(1))[:, None]


def _one(embeddings: Tensor) -> Float[Tensor, ""]:
    return torch.ones((), dtype=torch.promote_types(embeddings.dtype, torch.float32), device=embeddings.device)
