"""The loss of MoCo: negatives are keys of earlier batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_rows
from unconfound.functional.similarity import normalize


def queue_info_nce(
    query: Float[Tensor, "batch features"],
    key: Float[Tensor, "batch features"],
    queue: Float[Tensor, "queue features"],
    *,
    temperature: float = 0.2,
) -> Float[Tensor, ""]:
    """Compute InfoNCE with one positive key a query and the queue as negatives.

    He et al., "Momentum Contrast for Unsupervised Visual Representation Learning" (CVPR 2020), equation 1: with cosine
    similarities s, the mean over i of -log[exp(s(q_i, k_i) / t) / (exp(s(q_i, k_i) / t) + sum_j exp(s(q_i, n_j) / t))].
    log(1 + queue) where all rows are equal. The keys of other queries are no negatives, so a batch of one row is as
    good as any.

    Rows are normalised inside, those of the queue, too. One matrix [batch, queue] is held for the backward pass:
    `info_nce`'s tiles need all queries to have the same keys, and here each has a positive of its own.

    Args:
        query: q, one row a sample; any scale.
        key: k, the positive of each query, in the same order; any scale. Gradients flow to it where it asks for them.
        queue: n, the negatives of all queries, at least one; any scale.
        temperature: t, above 0.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: shapes do not fit, there are no rows, or the temperature is out of its range.
    """
    check_above_0(temperature=temperature)
    for name, rows in (("query", query), ("key", key), ("queue", queue)):
        check_rows(name, rows)
    if query.shape != key.shape or query.shape[1] != queue.shape[1]:
        raise ValueError(
            "query and key must have equal shapes, and queue as many columns, got "
            f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(queue.shape)}"
        )
    with torch.autocast(query.device.type, enabled=False):
        scaled, keys = normalize(query) / temperature, normalize(key)
        positive = (scaled * keys).sum(1)
        negative = _log_sum_exp(scaled @ normalize(queue).T, bound=1 / temperature)
        # log(exp p + exp n) - p, exact to the last digit where the positive is far ahead, and without another matrix.
        return -F.logsigmoid(positive - negative).mean()


def _log_sum_exp(logits: Tensor, bound: float) -> Tensor:
    """Return the logarithm of each row's sum of exponentials, of logits of magnitudes up to `bound`."""
    # Up to exp(16) times the length of any queue, and its square in second derivatives, is inside float32: no maximum
    # need be subtracted first.
    return logits.exp().sum(1).log() if bound <= 16 else logits.logsumexp(1)
