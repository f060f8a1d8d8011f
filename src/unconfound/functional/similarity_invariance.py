"""How losses that add up exponentials of similarities change with their scale: closed forms, as `invariance` explains.

The scores are the cosine similarities; scales and margins are no part of them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.pair_invariance import check_finite, check_pairs, wide
from unconfound.functional.weighted_mean import check_classes, weighted_mean


def multi_similarity_scale_gradient(
    similarities: Float[Tensor, "batch batch"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    positive_scale: float = 2.0,
    negative_scale: float = 50.0,
    base: float = 0.5,
) -> Float[Tensor, "*environments"]:
    """Compute g of the multi-similarity loss, the mean over anchors.

    Wang et al., "Multi-Similarity Loss with General Pair Weighting" (CVPR 2019), equation 15: an anchor's loss is
    log(1 + sum_P exp(-a (s - base))) / a + log(1 + sum_N exp(b (s - base))) / b, P and N being the other rows of its
    class and those of other classes. Each logarithm's derivative is the mean of s under the softmax of its exponents, 0
    among them: minus for P, plus for N.

    Args:
        similarities: s, cosines.
        labels: the class of each sample, 0 or above.
        weights: of anchors, [batch, environments] or [batch]; None for equal ones.
        positive_scale: a, above 0.
        negative_scale: b, above 0.
        base: the similarity that parts both kinds.

    Raises:
        TypeError: similarities or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are fewer than two rows, or an option is out of its range.
    """
    positive, negative = check_pairs("similarities", similarities, labels)
    check_finite(base=base)
    _check_above_0(positive_scale=positive_scale, negative_scale=negative_scale)
    with torch.autocast(similarities.device.type, enabled=False):
        similarities = wide(similarities)
        pulled = _soft_sum(similarities, positive, -positive_scale * (similarities - base), axis=1)
        pushed = _soft_sum(similarities, negative, negative_scale * (similarities - base), axis=1)
        return weighted_mean(pushed - pulled, weights)


def proxy_anchor_scale_gradient(
    similarities: Float[Tensor, "batch classes"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float = 32.0,
    margin: float = 0.1,
) -> Float[Tensor, ""]:
    """Compute g of the Proxy-Anchor loss, in which the proxies are the anchors.

    Kim et al., "Proxy Anchor Loss for Deep Metric Learning" (CVPR 2020), equation 4, with a the scale: the mean over
    proxies of classes in the batch of log(1 + sum_X+ exp(-a (s - margin))) plus the mean over all proxies of
    log(1 + sum_X- exp(a (s + margin))), X+ and X- being the samples of the proxy's class and the others. The loss is no
    mean over samples, hence no `weights`.

    Args:
        similarities: s, cosines of samples with the proxy of each class.
        labels: the class of each sample.
        scale: a, above 0.
        margin: finite.

    Raises:
        TypeError: similarities are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are no rows, a label or an option is out of its range.
    """
    labels = check_classes(similarities, labels, name="similarities")
    check_finite(margin=margin)
    _check_above_0(scale=scale)
    with torch.autocast(similarities.device.type, enabled=False):
        similarities = wide(similarities)
        own = F.one_hot(labels, similarities.shape[1]).bool()
        pulled = _soft_sum(similarities, own, -scale * (similarities - margin), axis=0)
        pushed = _soft_sum(similarities, ~own, scale * (similarities + margin), axis=0)
        return scale * (pushed.mean() - pulled.sum() / own.any(0).sum())


def _soft_sum(values: Tensor, mask: Tensor, exponents: Tensor, *, axis: int) -> Tensor:
    """sum_mask exp(exponent) value / (1 + sum_mask exp(exponent))"""
    exponents = exponents.masked_fill(~mask, -torch.inf)
    one = exponents.new_zeros(()).expand_as(exponents.narrow(axis, 0, 1))
    shares = torch.softmax(torch.cat([one, exponents], axis), axis).narrow(axis, 1, values.shape[axis])
    return (shares * values.masked_fill(~mask, 0)).sum(axis)


def _check_above_0(**options: float) -> None:
    for name, value in options.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0, got {value}")
