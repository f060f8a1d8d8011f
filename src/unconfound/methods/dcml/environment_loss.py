"""The loss of an environment, and how it would change if all its scores were scaled: what DCML is made of.

A loss that is a softmax over scores against proxies has both in closed form; any other that is a mean over elements
(pairs, triplets) has its derivative by forward differentiation, and each element the weight of its anchor.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.inputs import wide_dtype
from unconfound.functional.invariance import scale_gradient, softmax_sample_scale_gradients, softmax_scale_gradient
from unconfound.functional.weighted_mean import weighted_mean
from unconfound.methods.metric.losses import MetricLoss
from unconfound.methods.parts.labelled import cross_entropy


def risks_and_slopes(
    loss: MetricLoss,
    embeddings: Float[Tensor, "environments batch features"],
    labels: Int[Tensor, " batch"],
    weights: Float[Tensor, "batch environments"],
    *,
    per_class: bool,
) -> tuple[Float[Tensor, " environments"], Float[Tensor, "environments multipliers"]]:
    """Return the weighted mean of a loss in each environment, and its derivative by what multiplies the scores.

    Args:
        loss: has elements.
        embeddings: of the batch of all processes, by the gates of each environment.
        labels: likewise.
        weights: of its samples; at least 0, with sums above 0.
        per_class: multiply the logits of each class by a number of its own; without effect on losses of pairs, which
            know no classes.

    Returns:
        The losses, and of each one derivative or one a class.
    """
    if not loss.has_logits:
        each = zip(embeddings, weights.unbind(1), strict=True)
        found = [_risk_and_slope(loss, rows, labels, own) for rows, own in each]
        return torch.stack([risk for risk, _ in found]), torch.stack([slope for _, slope in found])[:, None]
    # All environments in one pass: an embedding has weight in that of its gates alone.
    count = len(embeddings)
    everyone = labels.repeat(count)
    logits = loss.logits(embeddings.flatten(0, 1), everyone)
    own = (torch.eye(count, device=weights.device)[:, None] * weights.T[..., None]).flatten(0, 1).to(logits.dtype)
    slopes = softmax_scale_gradient(logits, everyone, own, per_class=per_class)
    return weighted_mean(cross_entropy(logits, everyone), own), slopes.reshape(count, -1)


def _risk_and_slope(
    loss: MetricLoss, embeddings: Tensor, labels: Tensor, weights: Tensor
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    def weighted(scale: Tensor) -> Tensor:
        losses, anchors = loss.elements(embeddings, labels, scale=scale)
        own = weights[anchors].to(losses.dtype)
        return (own * losses).sum() / own.sum().clamp_min(torch.finfo(losses.dtype).tiny)

    one = _one(embeddings)
    return weighted(one), scale_gradient(weighted, one)


def sample_slopes(
    loss: MetricLoss, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"], *, per_class: bool
) -> Float[Tensor, "batch multipliers"]:
    """Return that derivative of each sample's loss, or of the mean over its elements: 0 where it is none's anchor.

    Arguments are those of `risks_and_slopes`, for one environment.
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
    return torch.ones((), dtype=wide_dtype(embeddings), device=embeddings.device)
