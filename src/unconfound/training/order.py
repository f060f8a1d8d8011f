"""In which order samples come, and with which random numbers: functions of the seed and the place alone.

A run that goes on after a kill needs no saved generator: it draws what it would have drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data import Source
from unconfound.methods import Method
from unconfound.training.checkpoint import Position


def pass_order(
    method: Method, source: Source, batch_size: int, *, phase: str, seed: int, epoch: int, data_pass: int
) -> list[Int[Tensor, " batch"]]:
    """Order the samples of one pass over the data as the method asks for.

    Args:
        method: its `sampling_weights` and `instances_per_class` say how samples come.
        source: the training samples.
        batch_size: at most the samples.
        phase: the first one of the pass.
        seed, epoch, data_pass: the order is a function of these, of the source and of what the method says.

    Raises:
        ValueError: samples cannot be drawn so.
    """
    place = {"seed": seed, "epoch": epoch, "data_pass": data_pass}
    weights, instances = method.sampling_weights(source, phase), method.instances_per_class
    if instances is None:
        return epoch_order(len(source), batch_size, **place, weights=weights)
    if weights is not None:
        raise ValueError("samples are drawn by weights, or some of each class a batch, not both: leave one out")
    if source.labels is None:
        raise ValueError(f"batches of {instances} samples a class need labels, {source.name} has none: give labels")
    return class_balanced_order(source.labels, batch_size, instances, **place)


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
        order = draw_by_weights(weights, samples, generator=generator)
    return list(order[: samples // batch_size * batch_size].split(batch_size))


def draw_by_weights(
    weights: Float[Tensor, " samples"], count: int, *, generator: torch.Generator
) -> Int[Tensor, " count"]:
    """Draw samples with replacement, each with a probability in proportion to its weight, which may be 0.

    By a search in the cumulative sum, in float64: torch.multinomial ends at 2^24 samples.

    Args:
        weights: finite, 0 or above, with a sum above 0.
        count: of draws.
        generator: on the CPU; gives one number a draw.
    """
    # Of weights near the largest float the sum would be infinite.
    reached = (weights / weights.max()).double().cumsum(0)
    places = torch.rand(count, generator=generator, dtype=torch.float64) * reached[-1]
    # To the right of equals: a sample of weight 0 reaches no farther than the one before it, and is passed over.
    return torch.searchsorted(reached, places, right=True)


def class_balanced_order(
    labels: Int[Tensor, " samples"],
    batch_size: int,
    instances: int,
    *,
    seed: int,
    epoch: int,
    data_pass: int,
) -> list[Int[Tensor, " batch"]]:
    """Draw batches of some classes with some samples each, as "A Metric Learning Reality Check" does.

    Classes are drawn anew for each batch and come at most once in it; so do the samples of a class that has enough. A
    class of fewer gives its samples in turn, from a random one on, so that none comes again before all came: the one
    sample of a class comes as often as is asked for. A pass has samples // batch_size batches; not all samples need
    come in it, nor classes equally often.

    Args:
        labels: the class of each sample, 0 or above; classes without samples do not matter.
        batch_size: a multiple of `instances`.
        instances: of each class in a batch; they stand next to each other.
        seed, epoch, data_pass: the order is a function of these, and of the labels.

    Raises:
        ValueError: a sample has no label, `batch_size` is no multiple of `instances`, or a batch has more classes than
            the data.
    """
    unlabelled = int((labels < 0).sum())
    if unlabelled:
        raise ValueError(
            f"batches of {instances} samples a class need the label of every sample, {unlabelled:,} of "
            f"{len(labels):,} have none: leave them out"
        )
    if instances < 1 or batch_size % instances:
        raise ValueError(
            f"a batch of {batch_size} does not consist of classes with {instances} samples each: give a --batch-size "
            f"that is a multiple of {instances}"
        )
    _, kinds, sizes = torch.unique(labels.cpu(), return_inverse=True, return_counts=True)
    wanted = batch_size // instances
    if wanted > len(sizes):
        raise ValueError(
            f"a batch of {batch_size} with {instances} samples a class needs {wanted} classes, the data have "
            f"{len(sizes)}: give a --batch-size of at most {len(sizes) * instances}"
        )
    generator = torch.Generator().manual_seed(_mix(seed, epoch, data_pass))
    members, first, batches = kinds.argsort(stable=True), sizes.cumsum(0) - sizes, len(labels) // batch_size
    # So many batches at a time that their random numbers, one a class, stay a few megabytes.
    tile = max(1, 2**20 // len(sizes))
    classes = [
        torch.rand(min(tile, batches - start), len(sizes), generator=generator).topk(wanted, dim=1).indices
        for start in range(0, batches, tile)
    ]
    if not classes:
        return []
    chosen = torch.cat(classes).flatten()
    places = first[chosen, None] + _without_repetition(sizes[chosen], instances, generator)
    return list(members[places].view(batches, batch_size))


def seed_update(seed: int, position: Position) -> None:
    """Seed torch's generators for one update, the same on every process."""
    torch.manual_seed(_mix(seed, position.epoch, position.data_pass, position.update, 1))


def _without_repetition(sizes: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw numbers below each size, different ones where there are as many, else in turn from a random one on."""
    drawn = torch.empty(len(sizes), 0, dtype=torch.long)
    for step in range(count):
        # A number among those that are left, counted past the ones that were drawn, from the smallest on.
        left = (sizes - step).clamp_min(1)
        number = (torch.rand(len(sizes), generator=generator, dtype=torch.float64) * left).long()
        for taken in drawn.sort(1).values.unbind(1):
            number += number >= taken
        drawn = torch.cat([drawn, number[:, None]], 1)
    few = sizes < count
    drawn[few] = (drawn[few, :1] + torch.arange(count)) % sizes[few, None]
    return drawn


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
