"""Means over repeated runs, and differences of two rows of runs that share their seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unconfound.evaluation.intervals import student


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Give the mean of independent runs, and the half width of its 95 % t interval.

    The interval is not cut to [0, 1]: it is printed as mean ± half width.

    Args:
        values: one a run, a seed each; shares in [0, 1] give shares.

    Returns:
        The half width is None for a single run, which says nothing about the spread.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    if len(values) == 0:
        raise ValueError("a mean of no runs is undefined; leave the figure out")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"the runs {list(values)} hold a value that is not finite; leave failed runs out")
    average, count = float(np.mean(values)), len(values)
    if count == 1:
        return average, None
    return average, student(count) * float(np.std(values, ddof=1)) / math.sqrt(count)


def paired_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float | None]:
    """Give the mean of `first` minus `second`, run by run, and the half width of its 95 % t interval.

    What two runs of one seed share (the split, the order of the batches) cancels out, so that the interval may be much
    narrower than that of either mean.

    Args:
        first: one value a seed.
        second: those of the same seeds in the same order.

    Returns:
        The half width is None for a single pair.

    Raises:
        ValueError: the two differ in length, there is no pair, or a value is not finite.
    """
    if len(first) != len(second):
        raise ValueError(
            f"{len(first)} runs cannot be paired with {len(second)}; give values of the same seeds in the same order"
        )
    return mean_interval([one - other for one, other in zip(first, second, strict=True)])
