"""Scores of samples against learnt proxies of the classes, for a softmax over the classes; and Proxy-Anchor.

All compare rows of unit length: embeddings and proxies are normalised inside. The cross-entropy of these logits and the
labels is the loss of the paper that is named. Scales and margins lie inside: a number that multiplies the logits
multiplies the margin, too.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from unconfound.functional.inputs import (
    check_above_0,
    check_at_least_0,
    check_floating,
    check_rows,
    wide_dtype,
    wide_pair,
)
from unconfound.functional.labels import check_labels
from unconfound.functional.pair_terms import cosines, log_one_plus_sum
from unconfound.functional.similarity import normalize


def cosface_logits(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float,
    margin: float,
) -> Float[Tensor, "batch classes"]:
    """Compute scale x (cosine - margin x [the sample's own class]).

    Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition" (CVPR 2018), equation 4.

    Args:
        embeddings: one row a sample; any scale.
        proxies: one row a class; any scale.
        labels: the class of each sample, from 0 to classes - 1.
        scale: of the cosines; above 0.
        margin: taken off the cosine to a sample's own class; any finite number, at most 2 makes sense.

    Raises:
        TypeError: embeddings or proxies are not floating-point, or labels not integers.
        ValueError: shapes do not fit, a label is no class, or an option is out of its range.
    """
    labels = _check(embeddings, proxies, labels, scale=scale, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        return scale * (cosines(embeddings, proxies) - margin * _own(labels, proxies))


def arcface_logits(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float,
    margin: float,
) -> Float[Tensor, "batch classes"]:
    """Compute scale x cosine, with the angle between a sample and its own class larger by a margin.

    Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition" (CVPR 2019), equation 3. Past an
    angle of pi - m, where the cosine of the sum would rise again, it is cos(angle) - m sin(m), as in the authors' code
    and in pytorch-metric-learning. Where a sample and its proxy are parallel the angle has no derivative; it is taken
    as 0 there, where others give NaN.

    Args:
        embeddings, proxies, labels: as `cosface_logits`.
        scale: of the cosines; above 0.
        margin: m, in degrees, from 0 to 180.

    Raises:
        TypeError, ValueError: as `cosface_logits`.
    """
    labels = _check(embeddings, proxies, labels, scale=scale, margin=margin)
    if not 0 <= margin <= 180:
        raise ValueError(f"the margin of ArcFace is an angle in degrees from 0 to 180, got {margin}")
    radians = math.radians(margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        similarities = cosines(embeddings, proxies)
        own = similarities.gather(1, labels[:, None]).clamp(-1, 1)
        squares = 1 - own.square()
        parallel = squares <= torch.finfo(squares.dtype).eps
        sines = squares.masked_fill(parallel, 1).sqrt().masked_fill(parallel, 0)
        shifted = torch.where(
            own >= -math.cos(radians),
            own * math.cos(radians) - sines * math.sin(radians),
            own - radians * math.sin(radians),
        )
        return scale * (similarities + (shifted - own) * _own(labels, proxies))


def normalized_softmax_logits(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float,
) -> Float[Tensor, "batch classes"]:
    """Compute scale x cosine.

    Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning" (BMVC 2019), equation 2, whose
    temperature is 1 / scale.

    Args:
        embeddings, proxies: as `cosface_logits`.
        labels: checked, and not used otherwise: here so that all are called alike.
        scale: of the cosines; above 0.

    Raises:
        TypeError, ValueError: as `cosface_logits`.
    """
    labels = _check(embeddings, proxies, labels, scale=scale)
    with torch.autocast(embeddings.device.type, enabled=False):
        return scale * cosines(embeddings, proxies)


def proxy_nca_logits(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float,
) -> Float[Tensor, "batch classes"]:
    """Compute -scale x the squared distance of the normalised embedding to the normalised proxy.

    Movshovitz-Attias et al., "No Fuss Distance Metric Learning using Proxies" (ICCV 2017), with the sample's own class
    in the denominator, which the paper leaves out, as in pytorch-metric-learning and in ProxyNCA++ (Teh et al., ECCV
    2020), whose temperature is 1 / scale.

    Args:
        embeddings, proxies: as `cosface_logits`.
        labels: checked, and not used otherwise: here so that all are called alike.
        scale: of the squared distances, which lie in [0, 4]; above 0.

    Raises:
        TypeError, ValueError: as `cosface_logits`.
    """
    labels = _check(embeddings, proxies, labels, scale=scale)
    with torch.autocast(embeddings.device.type, enabled=False):
        rows, centers = wide_pair(normalize(embeddings), normalize(proxies))
        squares = rows.square().sum(1, keepdim=True) + centers.square().sum(1)
        logits: Tensor = -scale * (squares - 2 * rows @ centers.T)
        return logits


def soft_triple_logits(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes centers features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float,
    margin: float,
    sharpness: float,
) -> Float[Tensor, "batch classes"]:
    """Compute scale x (a soft maximum over the cosines to the centers of a class - margin x [the sample's own class]).

    Qian et al., "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling" (ICCV 2019), equations 5 to 7.

    Args:
        embeddings: one row a sample; any scale.
        proxies: several centers a class; any scale.
        labels: the class of each sample, from 0 to classes - 1.
        scale: lambda of the paper; above 0.
        margin: delta of the paper.
        sharpness: of the softmax that weighs the centers of a class, 1 / gamma of the paper; at least 0 (their mean).

    Raises:
        TypeError, ValueError: as `cosface_logits`.
    """
    check_floating("proxies", proxies)
    if proxies.dim() != 3:
        raise ValueError(f"proxies must be [classes, centers, features], got shape {tuple(proxies.shape)}")
    check_at_least_0(sharpness=sharpness)
    labels = _check(embeddings, proxies[:, 0], labels, scale=scale, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        similarities = cosines(embeddings, proxies.flatten(0, 1)).unflatten(1, proxies.shape[:2])
        similarities = (similarities * (sharpness * similarities).softmax(2)).sum(2)
        logits: Tensor = scale * (similarities - margin * _own(labels, proxies))
        return logits


def center_spread(proxies: Float[Tensor, "classes centers features"]) -> Float[Tensor, ""]:
    """Compute SoftTriple's regularizer: half the mean distance of two centers of one class, which lets them merge.

    Qian et al. (ICCV 2019), section 3.3: the sum over the pairs of centers of a class, divided by
    classes x centers x (centers - 1). The root is taken of 2 + 1e-5 - 2 cosine, as in the authors' code: between equal
    centers it has a gradient then. 0 where a class has one center.
    """
    classes, centers, _ = proxies.shape
    if centers == 1:
        return 0 * proxies.sum()
    rows = normalize(proxies.flatten(0, 1)).unflatten(0, (classes, centers))
    first, second = torch.triu_indices(centers, centers, 1, device=proxies.device)
    similarities = (rows[:, first] * rows[:, second]).sum(2)
    spread: Tensor = (2 + 1e-5 - 2 * similarities).sqrt().sum() / (classes * centers * (centers - 1))
    return spread


def proxy_anchor_loss(
    embeddings: Float[Tensor, "batch features"],
    proxies: Float[Tensor, "classes features"],
    labels: Integer[Tensor, " batch"],
    *,
    scale: float = 32.0,
    margin: float = 0.1,
) -> Float[Tensor, ""]:
    """Compute Proxy-Anchor: each proxy attracts the samples of its class and repels the others, the hardest the most.

    Kim et al., "Proxy Anchor Loss for Deep Metric Learning" (CVPR 2020), equation 4: with cosines s, the mean over the
    proxies that have a sample of their class in the batch of log(1 + sum exp(-scale (s - margin))), plus the mean over
    all proxies of log(1 + sum exp(scale (s + margin))) over the samples of other classes.

    Args:
        embeddings, proxies, labels: as `cosface_logits`.
        scale: alpha of the paper; above 0.
        margin: delta of the paper.

    Raises:
        TypeError, ValueError: as `cosface_logits`.
    """
    labels = _check(embeddings, proxies, labels, scale=scale, margin=margin)
    with torch.autocast(embeddings.device.type, enabled=False):
        similarities = cosines(embeddings, proxies)
        own = _own(labels, proxies).bool()
        present = own.any(0).sum()
        attraction = log_one_plus_sum(scale * (margin - similarities), own, dim=0)
        repulsion = log_one_plus_sum(scale * (similarities + margin), ~own, dim=0)
        return attraction.sum() / present + repulsion.mean()


def _own(labels: Tensor, proxies: Tensor) -> Tensor:
    """Return 1 where a sample meets its own class, [batch, classes]."""
    return F.one_hot(labels, len(proxies)).to(wide_dtype(proxies))


def _check(embeddings: Tensor, proxies: Tensor, labels: Tensor, *, scale: float, margin: float = 0.0) -> Tensor:
    """Return the labels as int64."""
    check_rows("embeddings", embeddings)
    check_rows("proxies", proxies)
    labels = check_labels(labels, rows=len(embeddings), count=len(proxies))
    if embeddings.shape[1] != proxies.shape[1]:
        raise ValueError(
            f"embeddings and proxies must have as many columns, got {embeddings.shape[1]} and {proxies.shape[1]}"
        )
    check_above_0(scale=scale)
    if not math.isfinite(margin):
        raise ValueError(f"margin must be a finite number, got {margin}")
    return labels
