"""How far the predictions of two models are apart."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_paired, wide_pair


def disagreement(
    logits: Float[Tensor, "samples classes"], others: Float[Tensor, "samples classes"]
) -> Float[Tensor, " samples"]:
    """Compute KL(softmax(logits) || softmax(others)) of each sample, in nats.

    LaBonte et al., "Towards Last-layer Retraining for Group Robustness with Fewer Annotations" (NeurIPS 2023),
    section 5: samples of rare groups are among those on which a model and a regularised version of it disagree most.

    Args:
        logits: of the model.
        others: of its regularised version, for the same samples.

    Returns:
        [samples], 0 or above up to rounding.

    Raises:
        TypeError: one is not floating-point.
        ValueError: one is no matrix, or shapes differ.
    """
    check_paired(logits=logits, others=others)
    logits, others = wide_pair(logits, others)
    own, other = torch.log_softmax(logits, 1), torch.log_softmax(others, 1)
    return (own.exp() * (own - other)).sum(1)
