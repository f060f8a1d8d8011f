"""Alarms in plain words: collapse of the embeddings, and numbers that are none."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from unconfound.options.training import TrainingOptions


class NotFiniteError(ArithmeticError):
    """The loss or a weight is NaN or infinite; the message says since when and what to try."""


def embedding_health(embeddings: Float[Tensor, "samples features"]) -> dict[str, float]:
    """Measure how much embeddings spread.

    Returns:
        embedding_deviation: standard deviation of the L2-normalised embeddings, averaged over features, times
            sqrt(features): 1 where directions are spread evenly, 0 where all embeddings point the same way.
        effective_rank: exponential of the entropy of the normalised singular values of the centred embeddings (Roy and
            Vetterli, "The effective rank", 2007), from 1 to min(samples, features); 0 where all are equal.
        Both are NaN where an embedding holds NaN or infinity.
    """
    if not torch.isfinite(embeddings).all():
        return {"embedding_deviation": math.nan, "effective_rank": math.nan}
    directions = F.normalize(embeddings.double(), dim=1)
    deviation = directions.std(0, correction=0).mean() * directions.shape[1] ** 0.5
    values = torch.linalg.svdvals(embeddings.double() - embeddings.double().mean(0))
    if values.sum() <= 1e-12:
        return {"embedding_deviation": float(deviation), "effective_rank": 0.0}
    shares = values / values.sum()
    entropy = -torch.special.xlogy(shares, shares).sum()
    return {"embedding_deviation": float(deviation), "effective_rank": float(entropy.exp())}


def collapse_alarm(health: dict[str, float], *, step: int) -> str | None:
    """Say in one sentence that the embeddings have collapsed, or None where they have not."""
    deviation, rank = health["embedding_deviation"], health["effective_rank"]
    if deviation >= 0.02 and rank >= 1.5:
        return None
    what = "all embeddings point the same way" if deviation < 0.02 else "the embeddings lie on one line"
    what = "the embeddings hold NaN or infinity" if math.isnan(deviation) else what
    return (
        f"collapse at step {step:,}: {what} (deviation {deviation:.3f} of 1, effective rank {rank:.1f}). "
        "Try a lower learning rate, a larger batch, or another temperature"
    )


def not_finite_message(step: int, epoch: int, *, what: str = "loss", options: TrainingOptions, precision: str) -> str:
    """Say since which step the loss (or the weights) are no numbers, and what to try."""
    first = "a lower --learning-rate" if precision == "32" else "--precision 32, then a lower --learning-rate"
    return (
        f"the {what} became NaN or infinite at step {step:,} (epoch {epoch + 1}): try {first} "
        f"(now {options.highest_learning_rate:g}), --gradient-clip 1, or look for odd values in the data"
    )
