"""Losses that compare how two views of a sample relate to other samples.

All relations are softmaxes over cosine similarities: embeddings are normalised inside. The whole matrix of similarities
is held.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_at_least_0, check_paired, check_rows
from unconfound.functional.similarity import normalize


def relational_loss(
    queries: Float[Tensor, "batch features"],
    keys: Float[Tensor, "batch features"],
    queue: Float[Tensor, "others features"],
    *,
    temperature: float = 0.1,
    key_temperature: float = 0.04,
) -> Float[Tensor, ""]:
    """Compute the loss of ReSSL: each query is to relate to the others as its key does.

    Zheng et al., "ReSSL: Relational Self-Supervised Learning with Weak Augmentation" (NeurIPS 2021), section 3.2: with
    p the softmax of the similarities of a key to the queue at the keys' temperature, and q that of its query at the
    queries' own, the mean over samples of the cross-entropy -sum_j p_j log q_j. It is at least the entropy of p, and
    log(others) where all rows of the queue are equal; queries then get no gradient.

    Args:
        queries: of one view of each sample, what learns; any scale.
        keys: of the other view, in the same order. No gradient flows to them.
        queue: other samples. No gradient flows to them.
        temperature: of the queries' softmax, above 0.
        key_temperature: of the keys' softmax, above 0; the lower, the sharper the relations to be matched. The paper
            finds that it should lie below the queries'.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes do not fit, there are no rows, or a temperature is out of its range.
    """
    check_above_0(temperature=temperature)
    check_above_0(key_temperature=key_temperature)
    check_paired(queries=queries, keys=keys)
    check_rows("queue", queue)
    if queue.shape[1] != queries.shape[1]:
        raise ValueError(f"queue must have the queries' {queries.shape[1]} features, got {queue.shape[1]}")
    with torch.autocast(queries.device.type, enabled=False):
        others = normalize(queue.detach())
        sharp = F.softmax(normalize(keys.detach()) @ others.T / key_temperature, dim=1)
        return F.cross_entropy(normalize(queries) @ others.T / temperature, sharp)


def relic(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    first_keys: Float[Tensor, "batch features"],
    second_keys: Float[Tensor, "batch features"],
    *,
    temperature: float = 0.5,
    weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Compute the loss of RELIC: tell samples apart, by the same distribution over candidates from either view.

    Mitrovic et al., "Representation Learning via Invariant Causal Mechanisms" (ICLR 2021), section 2: row i of the
    first view gives the distribution p_i over the second keys, the softmax of their similarities; row i of the second
    view gives p'_i over the first keys. The loss is the mean over samples and both directions of -log p_ii plus
    `weight` times the mean over samples and both orders of KL(p_i || p'_i). The paper sums where we average, which
    changes the scale alone. As in the paper, the divergence is differentiated through both its arguments.

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        first_keys: candidates from the first view, in the same order: of a target network, or `first` itself.
        second_keys: candidates from the second view.
        temperature: of the softmax, above 0.
        weight: of the divergence, 0 or above. 0 leaves InfoNCE in both directions.

    One sample has no other candidate; its loss is 0.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    check_above_0(temperature=temperature)
    check_at_least_0(weight=weight)
    check_paired(first=first, second=second, first_keys=first_keys, second_keys=second_keys)
    with torch.autocast(first.device.type, enabled=False):
        there = F.log_softmax(normalize(first) @ normalize(second_keys).T / temperature, dim=1)
        back = F.log_softmax(normalize(second) @ normalize(first_keys).T / temperature, dim=1)
        contrast = -(there.diagonal() + back.diagonal()).mean() / 2
        # KL(p || p') + KL(p' || p) = sum (p - p') (log p - log p'), of which each term is 0 or above.
        divergence = ((there.exp() - back.exp()) * (there - back)).sum(1).mean() / 2
        return contrast + weight * divergence
