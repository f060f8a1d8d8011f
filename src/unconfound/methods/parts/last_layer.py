"""Fits a last layer to embeddings in which all groups are equally many (deep feature reweighting)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.group_accuracy import group_accuracy
from unconfound.functional.proximal_logistic import Penalty, penalized_logistic_regression


@dataclass(frozen=True, eq=False)
class LastLayer:
    """A linear map from embeddings to logits, and how it was found.

    Args:
        weight, bias: of the map.
        samples: of each of the groups in a balanced subset.
        groups: how many groups have samples.
        inverse_strength: the chosen one.
        worst_group_accuracy: with it, on the half that was held out to choose it.
    """

    weight: Float[Tensor, "classes features"]
    bias: Float[Tensor, " classes"]
    samples: int
    groups: int
    inverse_strength: float
    worst_group_accuracy: float


def fit_last_layer(
    embeddings: Float[Tensor, "samples features"],
    labels: Int[Tensor, " samples"],
    groups: Int[Tensor, " samples"],
    *,
    classes: int,
    penalty: Penalty,
    inverse_strengths: tuple[float, ...],
    draws: int,
) -> LastLayer:
    """Fit logistic regressions to group-balanced subsets and average them.

    Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations" (ICLR 2023),
    section 4: a half of the samples is set aside; on a balanced subset of the other half one regression a strength is
    fit, and the strength of the best worst-group accuracy on the first half chosen (the first of equals); with it,
    regressions on balanced subsets of all samples are averaged. A subset holds as many samples of each group, drawn
    without replacement, as the smallest group has.

    We halve each group, so that small ones are in both halves (a group of one sample is only fitted to); the authors'
    code halves all samples at random, and standardises features by the training samples, where we take those at hand.
    Random numbers are those of torch's generator.

    Args:
        embeddings: of each sample.
        labels: from 0 to classes - 1.
        groups: 0 or above; those without samples have no part in it.
        classes: their number.
        penalty: of the regressions, on standardised features.
        inverse_strengths: to choose from.
        draws: of subsets over which is averaged.

    Raises:
        ValueError: an embedding is not finite.
    """
    wide = embeddings.double()
    if not wide.isfinite().all():
        raise ValueError("embeddings hold NaN or infinity: train with a lower learning rate, or in full precision")
    deviation, mean = torch.std_mean(wide, 0, correction=0)
    deviation = torch.where(deviation > 1e-12, deviation, 1.0)
    rows = (wide - mean) / deviation

    def fit(among: Tensor, inverse_strength: float) -> tuple[Tensor, Tensor]:
        return penalized_logistic_regression(
            rows[among], labels[among], classes=classes, penalty=penalty, inverse_strength=inverse_strength
        )

    members = [torch.nonzero(groups == group).flatten() for group in groups.unique()]
    shuffled = [each[torch.randperm(len(each))] for each in members]
    fitted_to = _balanced([each[len(each) // 2 :] for each in shuffled])
    held_out = torch.cat([each[: len(each) // 2] for each in shuffled])
    chosen, best = inverse_strengths[0], -1.0
    for candidate in inverse_strengths:
        if len(held_out) == 0:
            break
        weight, bias = fit(fitted_to, candidate)
        predictions = (rows[held_out] @ weight.T + bias).argmax(1)
        worst = group_accuracy(predictions, labels[held_out], groups[held_out]).worst
        if worst > best:
            chosen, best = candidate, worst

    fits = [fit(_balanced(members), chosen) for _ in range(draws)]
    weight = torch.stack([weight for weight, _ in fits]).mean(0) / deviation
    bias = torch.stack([bias for _, bias in fits]).mean(0) - weight @ mean
    smallest = min(len(each) for each in members)
    return LastLayer(weight, bias, smallest, len(members), chosen, max(best, 0.0))


def _balanced(members: list[Tensor]) -> Int[Tensor, " chosen"]:
    """Draw as many of each group as the smallest has."""
    smallest = min(len(each) for each in members)
    return torch.cat([each[torch.randperm(len(each))[:smallest]] for each in members])
