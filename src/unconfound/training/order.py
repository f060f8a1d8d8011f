"""In which order samples come, and with which random numbers: functions of the seed and the place alone.

A run that goes on after a kill needs no saved generator: it draws what it would have drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.training.checkpoint import Position


def epoch_order(
    samples: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    data_pass: int,
    weights: Float[Tensor, " samples"] | None = None,
) -> list[Int[Tensor, " batch"]]:
    """Shuffle the samples, or draw as many by weights, and cut them into batches; the incomplete last one is left out.

    Args:
        samples: of the source.
        batch_size: at most `samples`.
        seed, epoch, data_pass: the order is a function of these, and of the weights.
        weights: how often each sample is drawn, with replacement, relative to the others; None: each comes once.

    Raises:
        ValueError: there is not one weight a sample, or the weights are no numbers of at least 0 with a sum above 0.
    """
    generator = torch.Generator().manual_seed(_mix(seed, epoch, data_pass))
    if weights is None:
        order = torch.randperm(samples, generator=generator)
    else:
        weights = weights.detach().cpu().double()
        if weights.shape != (samples,):
            raise ValueError(f"sampling weights must be one a sample, {samples:,}, got shape {tuple(weights.shape)}")
        if not (weights.isfinite().all() and weights.min() >= 0 and weights.sum() > 0):
            raise ValueError(
                "sampling weights must be numbers of at least 0 and not all 0, "
                f"got {float(weights.min())} to {float(weights.max())}"
            )
        order = torch.multinomial(weights, samples, replacement=True, generator=generator)
    return list(order[: samples // batch_size * batch_size].split(batch_size))


def seed_update(seed: int, position: Position) -> None:
    """Seed torch's generators for one update, the same on every process."""
    torch.manual_seed(_mix(seed, position.epoch, position.data_pass, position.update, 1))


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
