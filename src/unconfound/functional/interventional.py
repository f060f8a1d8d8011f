"""Contrast under an intervention: backdoor adjustment over strata of semantics (ICL-MSR).

Qiang et al., "Interventional Contrastive Learning with Meta Semantic Regularizer", ICML 2022. A stratum is a vector of
weights for the dimensions of an embedding; conditioning on it means weighting the positive with it. Only the direction
of a stratum matters, for similarities are cosines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_floating, check_paired, check_rows, wide
from unconfound.functional.similarity import normalize

# Squared lengths (of at most 1) below this are those of a positive that a stratum wipes out.
_WIPED = 1e-12


def interventional_loss(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    strata: Float[Tensor, "*batch strata features"],
    *,
    temperature: float = 0.5,
    negatives: Literal["cross-view", "both-views"] = "cross-view",
) -> Float[Tensor, ""]:
    """Compute the mean of -log P(anchor | do(positive)) over both views of each sample as anchor.

    The poster's adjusted probability: with s_t = cos(anchor, stratum_t * positive) and c_k the cosines with the
    negatives, P = 1/n sum_t exp(s_t / t) / (exp(s_t / t) + sum_k exp(c_k / t)). Strata weight the positive alone; the
    sum over strata is inside the logarithm (the loss itself, its natural negative logarithm, is not on the poster).
    Equal strata give the plain contrastive loss with these negatives. A pair without negatives has the loss 0.

    Shared strata take two matrix products and memory O(batch x (batch + strata)).

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        strata: [strata, features] shared, or [batch, strata, features] a sample's own; at least 0. A positive of which
            a stratum leaves nothing has the similarity 0.
        temperature: t, above 0.
        negatives: "cross-view", the poster's literal form, takes the other view of the other samples (batch - 1);
            "both-views" takes both views of them, as NT-Xent does (2 batch - 2).

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, a stratum is negative, or an option is out of its range.
    """
    _check(first, second, strata, temperature=temperature)
    with torch.autocast(first.device.type, enabled=False):
        first, second, strata = normalize(first), normalize(second), _scaled(strata)
        stratified = [_stratified(first, second, strata), _stratified(second, first, strata)]
        return adjusted_contrast(first, second, stratified, temperature=temperature, negatives=negatives)


def adjusted_contrast(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    stratified: Sequence[Float[Tensor, "batch strata"]],
    *,
    temperature: float,
    negatives: Literal["cross-view", "both-views"],
) -> Float[Tensor, ""]:
    """Compute the mean of -log of the adjusted probability, whatever strata do to the positives.

    Args:
        first, second: two views of each sample; rows of length 1.
        stratified: cosines of the first views, and of the second ones, with their positives under each stratum.
        temperature, negatives: see `interventional_loss`.

    Raises:
        ValueError: unknown negatives.
    """
    if negatives not in ("cross-view", "both-views"):
        raise ValueError(f"negatives must be cross-view or both-views, got {negatives!r}")
    on = torch.eye(len(first), dtype=torch.bool, device=first.device)
    across = (first @ second.T / temperature).masked_fill(on, -math.inf)
    losses = []
    for anchor, scores, others in ((first, stratified[0], across), (second, stratified[1], across.T)):
        within = []
        if negatives == "both-views":
            within = [(anchor @ anchor.T / temperature).masked_fill(on, -math.inf)]
        losses.append(_adjusted(scores / temperature, torch.cat([others, *within], 1)))
    return torch.stack(losses).mean()


def strata_diversity(strata: Float[Tensor, "strata features"], *, sharpness: float = 2.0) -> Float[Tensor, ""]:
    """Measure how alike strata are: log of the mean of exp(-sharpness * squared distance) over pairs of directions.

    The uniformity of Wang and Isola ("Understanding Contrastive Representation Learning", ICML 2020, equation 3), taken
    over strata: ours, for the poster has no such term. 0 where all strata point the same way; -2 * sharpness where all
    are orthogonal, the least that strata without negative entries can reach. One stratum has the value 0.

    Args:
        strata: any scale.
        sharpness: above 0.

    Raises:
        TypeError: strata are not floating-point.
        ValueError: there are none, or sharpness is not above 0.
    """
    check_rows("strata", strata)
    if not sharpness > 0:
        raise ValueError(f"sharpness must be above 0, got {sharpness}")
    with torch.autocast(strata.device.type, enabled=False):
        rows, count = normalize(strata), len(strata)
        if count == 1:
            return 0 * rows.sum()
        squared = 2 - 2 * rows @ rows.T
        apart = ~torch.eye(count, dtype=torch.bool, device=rows.device)
        return torch.logsumexp(-sharpness * squared[apart], 0) - math.log(count * (count - 1))


def strata_cosine(strata: Float[Tensor, "*samples strata features"]) -> Float[Tensor, ""]:
    """Return the mean cosine of pairs of strata, and over samples where each has its own; 1 where there is one."""
    rows, count = normalize(strata.flatten(0, -2)).view(strata.shape), strata.shape[-2]
    if count == 1:
        return rows.new_ones(())
    sums = (rows @ rows.transpose(-1, -2)).sum((-1, -2))
    return ((sums - count) / (count * (count - 1))).mean()


def _stratified(
    anchor: Float[Tensor, "batch features"],
    positive: Float[Tensor, "batch features"],
    strata: Float[Tensor, "*batch strata features"],
) -> Float[Tensor, "batch strata"]:
    """Cosines of rows of length 1 with the positives as each stratum weights them."""
    agreement, squares = anchor * positive, positive.square()
    if strata.dim() == 2:
        product, length = agreement @ strata.T, squares @ strata.square().T
    else:
        product = torch.einsum("nd,nsd->ns", agreement, strata)
        length = torch.einsum("nd,nsd->ns", squares, strata.square())
    wiped = length < _WIPED
    return torch.where(wiped, 0, product) / torch.where(wiped, 1, length).sqrt()


def _adjusted(
    stratified: Float[Tensor, "batch strata"], negatives: Float[Tensor, "batch negatives"]
) -> Float[Tensor, ""]:
    """Mean of -log of the mean over strata of the softmax probability of the positive."""
    if len(negatives) == 1:
        return 0 * stratified.sum()
    others = torch.logsumexp(negatives, 1, keepdim=True)
    log_probability = stratified - torch.logaddexp(stratified, others)
    return math.log(stratified.shape[1]) - torch.logsumexp(log_probability, 1).mean()


def _scaled(strata: Tensor) -> Tensor:
    """Bring strata to a largest entry of 1, so that squares neither overflow nor underflow."""
    strata = wide(strata)
    largest = strata.detach().amax(-1, keepdim=True)
    return strata / torch.where(largest == 0, 1, largest)


def _check(first: Tensor, second: Tensor, strata: Tensor, *, temperature: float) -> None:
    check_paired(first=first, second=second)
    check_floating("strata", strata)
    batch, features = first.shape
    if strata.dim() not in (2, 3) or strata.shape[-1] != features or 0 in strata.shape or strata.shape[0] == 0:
        raise ValueError(
            f"strata must be [strata, {features}] or [{batch}, strata, {features}], got {tuple(strata.shape)}"
        )
    if strata.dim() == 3 and len(strata) != batch:
        raise ValueError(f"strata of {len(strata)} samples were given for {batch}")
    check_above_0(temperature=temperature)
    if not strata.requires_grad and bool((strata < 0).any()):
        raise ValueError(f"strata must be at least 0, got {float(strata.min()):g}: pass them through a sigmoid")
