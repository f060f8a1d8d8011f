"""How many samples a batch has, over all processes."""

from __future__ import annotations

import math

from unconfound.data import Source
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions

# Where the user says nothing, and there are as many.
DEFAULT_BATCH_SIZE = 256


def balance_of(method: Method, source: Source) -> tuple[int, int] | None:
    """Return of how many classes batches can be, and of how many samples of each; None where they are not balanced."""
    if method.instances_per_class is None or source.labels is None:
        return None
    return len(source.labels.unique()), method.instances_per_class


def batch_size_of(
    training: TrainingOptions,
    samples: int,
    processes: int,
    *,
    balanced: tuple[int, int] | None = None,
    most: int = DEFAULT_BATCH_SIZE,
) -> tuple[int, str]:
    """Return the samples a batch and, where the default had to adapt, a line that says so.

    Args:
        training: whose `batch_size` is taken where it is stated.
        samples: trained on.
        processes: among which each batch is divided.
        balanced: as `balance_of`.
        most: samples a batch, where no size is stated.

    Raises:
        ValueError: the stated size does not fit the samples or the processes, or there are too few samples for any.
    """
    stated = training.batch_size
    if stated is not None:
        if stated * training.accumulate > samples:
            raise ValueError(
                f"batch_size {stated}{f' x accumulate {training.accumulate}' * (training.accumulate > 1)} is more than "
                f"the {samples:,} training samples: give a smaller --batch-size"
            )
        if stated % processes:
            raise ValueError(f"batch_size {stated} does not divide among {processes} processes: give a multiple")
        return stated, ""
    classes, instances = balanced or (samples, 1)
    step = math.lcm(processes, instances)
    fitting = min(most, samples // training.accumulate, classes * instances) // step * step
    if fitting < 1:
        parts = (
            (instances, "samples of a class"),
            (training.accumulate, "batches an update"),
            (processes, "processes"),
        )
        asked = ", ".join(f"{number} {what}" for number, what in parts if number > 1)
        raise ValueError(
            f"training samples are too few for one update: {samples}, where {step * training.accumulate} or more are "
            f"needed ({asked})"
        )
    if fitting == most:
        return fitting, ""
    if instances > 1:
        return fitting, f"batch size {fitting}, {instances} samples of each of {fitting // instances} classes"
    few = samples // training.accumulate < most
    why = f"as there are only {samples} training samples" if few else f"to divide among {processes} processes"
    return fitting, f"batch size {fitting}, {why}"
