"""95 % confidence intervals, each with the kind of value it suits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri, stdtrit  # scipy.stats takes a second to import
from torch import Tensor

from unconfound.evaluation.figures import Figure

NORMAL = float(ndtri(0.975))


def student(count: int) -> float:
    """Give the 97.5 % point of Student's t for the mean of so many independent values, two or more."""
    return float(stdtrit(count - 1, 0.975))


def share(correct: Bool[Tensor, " samples"]) -> Figure:
    """Give the share of samples that are true, with its Wilson score interval.

    Wilson, 1927. It keeps to [0, 1], and its width is not zero when all samples agree.

    Raises:
        ValueError: there is no sample.
    """
    if len(correct) == 0:
        raise ValueError("a share of no samples is undefined; leave the figure out")
    return _wilson(int(correct.sum()), len(correct))


def mean(values: Float[Tensor, " queries"]) -> Figure:
    """Give the mean of values in [0, 1], with the t interval of independent values, cut to [0, 1].

    A single value says nothing about its spread: its interval is [0, 1].

    Raises:
        ValueError: there is no value.
    """
    if len(values) == 0:
        raise ValueError("a mean of no values is undefined; leave the figure out")
    return _student_interval(values.double(), lowest=0.0)


def paired_difference(first: Bool[Tensor, " samples"], second: Bool[Tensor, " samples"]) -> Figure:
    """Give the share of `first` minus that of `second`, both evaluated on the same samples, in [-1, 1].

    The interval is the normal one of the mean of the per-sample differences, after one sample of each kind of
    disagreement is added to the data: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", 2012. Without these two the interval would have no width where no sample's
    answer differs, however few samples there are. The value is the plain difference.

    Raises:
        ValueError: there is no sample.
    """
    count = len(first)
    if count == 0:
        raise ValueError("a difference over no samples is undefined; leave the figure out")
    gained, lost = int((first & ~second).sum()), int((second & ~first).sum())
    up, down = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    half = NORMAL * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    return _cut((gained - lost) / count, up - down - half, up - down + half, count, lowest=-1.0)


def mean_difference(first: Float[Tensor, " samples"], second: Float[Tensor, " samples"]) -> Figure:
    """Give the mean of `first` minus `second`, sample by sample, of values in [0, 1], with the t interval of the mean.

    A single sample says nothing about the spread: its interval is [-1, 1].

    Raises:
        ValueError: there is no sample.
    """
    if len(first) == 0:
        raise ValueError("a difference over no samples is undefined; leave the figure out")
    return _student_interval(first.double() - second.double(), lowest=-1.0)


def weighted_share(
    correct: Int[Tensor, " groups"], counts: Int[Tensor, " groups"], weights: Float[Tensor, " groups"]
) -> Figure:
    """Give the weighted average of the shares of independent groups.

    The groups' Wilson intervals are combined as in Zou and Donner, "Construction of confidence limits about effect
    measures", 2008: the squared distances of the limits from the shares, times the squared weights, add up. For large
    groups that is the normal interval of a stratified mean.

    Args:
        correct: correct samples of each group.
        counts: samples of each group.
        weights: not negative; only their proportions matter.

    Raises:
        ValueError: all weights are zero, or a group with a weight has no samples.
    """
    total = float(weights.sum())
    if total <= 0:
        raise ValueError("all weights of the groups are zero, so that their average is undefined")
    if bool(((counts == 0) & (weights > 0)).any()):
        raise ValueError("a group with a weight has no samples, so that the weighted average is undefined")
    value, below, above = 0.0, 0.0, 0.0
    for hits, count, weight in zip(correct.tolist(), counts.tolist(), weights.tolist(), strict=True):
        if weight > 0:
            group, part = _wilson(hits, count), weight / total
            value += part * group.value
            below += (part * (group.value - group.low)) ** 2
            above += (part * (group.high - group.value)) ** 2
    return _cut(value, value - math.sqrt(below), value + math.sqrt(above), int(counts.sum()), lowest=0.0)


def repeated_folds(accuracies: Float[Tensor, "repeats folds"], *, samples: int) -> Figure:
    """Give the mean accuracy of a repeated cross-validation and an interval that repeats cannot shrink at will.

    Accuracies on folds are not independent: training sets overlap, and every repeat tests the same samples. The
    interval is the corrected t interval of Bouckaert and Frank, "Evaluating the replicability of significance tests for
    comparing learning algorithms", 2004 (after Nadeau and Bengio, 2003): the variance over all folds and repeats is
    multiplied by 1 / (repeats x folds) + 1 / (folds - 1), the second term being the size of a test set over that of
    its training set. It is never narrower than Wilson's of as many independent samples. The standard deviation over
    repeats, which many papers report, tells only how much the assignment to folds matters, and is much smaller.

    Args:
        accuracies: on each test fold; two folds or more.
        samples: in all folds of a repeat together.
    """
    repeats, folds = accuracies.shape
    average, count = float(accuracies.double().mean()), repeats * folds
    variance = float(accuracies.double().var()) * (1 / count + 1 / (folds - 1))
    half = student(count) * math.sqrt(variance)
    plain = _wilson(average * samples, samples)
    return _cut(average, min(average - half, plain.low), max(average + half, plain.high), samples, lowest=0.0)


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


def _student_interval(values: Float[Tensor, " samples"], *, lowest: float) -> Figure:
    average, count = float(values.mean()), len(values)
    if count == 1:
        return Figure(average, lowest, 1.0, 1)
    half = student(count) * float(values.std()) / math.sqrt(count)
    return _cut(average, average - half, average + half, count, lowest=lowest)


def _wilson(hits: float, count: int) -> Figure:
    value, square = hits / count, NORMAL**2
    centre = (hits + square / 2) / (count + square)
    half = NORMAL * math.sqrt(count * value * (1 - value) + square / 4) / (count + square)
    return _cut(value, centre - half, centre + half, count, lowest=0.0)


def _cut(value: float, low: float, high: float, samples: int, *, lowest: float) -> Figure:
    """Keep the limits in [lowest, 1], and on their side of the value, which rounding may have crossed."""
    return Figure(value, max(lowest, min(low, value)), min(1.0, max(high, value)), samples)
