from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest, ttest_rel

from unconfound.evaluation.intervals import (
    mean,
    mean_difference,
    mean_interval,
    paired_difference,
    paired_interval,
    share,
    weighted_share,
)


def hits(correct: int, count: int) -> torch.Tensor:
    return torch.arange(count) < correct


@given(st.integers(1, 400), st.data())
@settings(deadline=None, max_examples=40)
def test_share_is_wilson_as_scipy_gives_it(count: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, count))
    figure = share(hits(correct, count))
    expected = binomtest(correct, count).proportion_ci(method="wilson")
    assert figure.value == correct / count
    assert figure.low == pytest.approx(expected.low, abs=1e-12)
    assert figure.high == pytest.approx(expected.high, abs=1e-12)
    assert figure.samples == count
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_mean_is_the_t_interval() -> None:
    figure = mean(torch.tensor([0.2, 0.4, 0.6, 0.9]))
    deviation = np.std([0.2, 0.4, 0.6, 0.9], ddof=1)
    assert figure.value == pytest.approx(0.525)
    assert figure.low == pytest.approx(max(0.0, 0.525 - 3.182446 * deviation / 2), abs=1e-6)
    assert figure.high == pytest.approx(min(1.0, 0.525 + 3.182446 * deviation / 2), abs=1e-6)


def test_mean_of_one_value_has_the_widest_interval() -> None:
    figure = mean(torch.tensor([0.3]))
    assert (figure.low, figure.high, figure.samples) == (0, 1, 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_paired_difference_holds_its_value_and_changes_sign_with_the_order(
    pairs: list[tuple[bool, bool]],
) -> None:
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    figure, turned = paired_difference(first, second), paired_difference(second, first)
    assert figure.value == pytest.approx(float(first.double().mean() - second.double().mean()))
    assert -1 <= figure.low <= figure.value <= figure.high <= 1
    assert figure.low < figure.high
    assert (turned.value, turned.low, turned.high) == pytest.approx((-figure.value, -figure.high, -figure.low))


def test_paired_difference_agrees_with_the_bootstrap() -> None:
    random = np.random.default_rng(0)
    first = random.random(500) < 0.85
    second = np.where(random.random(500) < 0.7, first, random.random(500) < 0.4)
    figure = paired_difference(torch.from_numpy(first), torch.from_numpy(second))
    drawn = random.integers(500, size=(4000, 500))
    means = (first[drawn].astype(float) - second[drawn]).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert figure.low == pytest.approx(low, abs=0.01)
    assert figure.high == pytest.approx(high, abs=0.01)
    # Unpaired, the interval would be half as wide again: the test can tell the two apart.
    unpaired = math.sqrt(first.var() / 500 + second.var() / 500) * 1.96
    assert unpaired > 1.1 * (figure.high - figure.low) / 2


def coverage(figures: list, truth: float) -> float:
    return float(np.mean([figure.low <= truth <= figure.high for figure in figures]))


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.98])
def test_share_covers_the_truth_in_about_95_of_100_runs(rate: float) -> None:
    draws = torch.from_numpy(np.random.default_rng(1).random((2000, 150)) < rate)
    assert 0.93 <= coverage([share(draw) for draw in draws], rate) <= 0.985


def test_mean_covers_the_truth_in_about_95_of_100_runs() -> None:
    draws = torch.from_numpy(np.random.default_rng(2).beta(3, 2, size=(2000, 30)))
    assert 0.935 <= coverage([mean(draw) for draw in draws], 0.6) <= 0.965


def test_paired_difference_covers_the_truth_in_about_95_of_100_runs() -> None:
    kinds = np.random.default_rng(3).choice(4, size=(2000, 100), p=[0.6, 0.2, 0.05, 0.15])
    first, second = torch.from_numpy(kinds <= 1), torch.from_numpy((kinds == 0) | (kinds == 2))
    figures = [paired_difference(*pair) for pair in zip(first, second, strict=True)]
    assert 0.935 <= coverage(figures, 0.15) <= 0.97


def test_weighted_share_covers_the_truth_in_about_95_of_100_runs() -> None:
    random, counts, rates = np.random.default_rng(4), [200, 40, 15], [0.95, 0.7, 0.9]
    weights = torch.tensor([0.5, 0.3, 0.2])
    drawn = torch.from_numpy(random.binomial(counts, rates, size=(2000, 3)))
    figures = [weighted_share(row, torch.tensor(counts), weights) for row in drawn]
    assert 0.935 <= coverage(figures, 0.475 + 0.21 + 0.18) <= 0.98


def test_weighted_share_of_large_groups_is_the_stratified_normal_interval() -> None:
    correct, counts = torch.tensor([80_000, 30_000]), torch.tensor([100_000, 60_000])
    figure = weighted_share(correct, counts, torch.tensor([3.0, 1.0]))
    half = 1.959964 * math.sqrt(0.75**2 * 0.8 * 0.2 / 100_000 + 0.25**2 * 0.5 * 0.5 / 60_000)
    assert figure.value == pytest.approx(0.725)
    assert figure.high - figure.value == pytest.approx(half, rel=0.01)
    assert figure.value - figure.low == pytest.approx(half, rel=0.01)


def test_weighted_share_of_one_group_is_its_share() -> None:
    figure = weighted_share(torch.tensor([7, 0]), torch.tensor([9, 0]), torch.tensor([2.0, 0.0]))
    expected = share(hits(7, 9))
    assert (figure.value, figure.low, figure.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_undefined_values_are_refused() -> None:
    nothing = torch.zeros(0, dtype=torch.bool)
    with pytest.raises(ValueError, match="share of no samples"):
        share(nothing)
    with pytest.raises(ValueError, match="mean of no values"):
        mean(torch.zeros(0))
    with pytest.raises(ValueError, match="no samples is undefined"):
        paired_difference(nothing, nothing)
    with pytest.raises(ValueError, match="a group with a weight has no samples"):
        weighted_share(torch.tensor([1, 0]), torch.tensor([2, 0]), torch.tensor([0.5, 0.5]))
    with pytest.raises(ValueError, match="all weights of the groups are zero"):
        weighted_share(torch.tensor([1]), torch.tensor([2]), torch.tensor([0.0]))


def test_mean_difference_is_the_paired_t_interval() -> None:
    first, second = torch.tensor([0.2, 0.4, 0.6, 0.9]), torch.tensor([0.3, 0.35, 0.2, 0.6])
    figure = mean_difference(first, second)
    expected = ttest_rel(first.double(), second.double()).confidence_interval(0.95)
    assert figure.value == pytest.approx(0.1625)
    assert (figure.low, figure.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    back = mean_difference(second, first)
    assert (back.low, back.high) == (pytest.approx(-figure.high), pytest.approx(-figure.low))
    alone = mean_difference(first[:1], second[:1])
    assert (alone.low, alone.high, alone.samples) == (-1, 1, 1)
    with pytest.raises(ValueError, match="over no samples"):
        mean_difference(first[:0], second[:0])


shares = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@given(shares)
def test_half_width_is_that_of_students_t(values: list[float]) -> None:
    mean, half = mean_interval(values)
    assert mean == pytest.approx(sum(values) / len(values))
    error = stats.sem(values)
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
        assert (mean - half, mean + half) == pytest.approx((low, high))


def test_interval_of_known_runs() -> None:
    # t(0.975, 2 degrees) is 4.3027, the standard deviation 0.01.
    mean, half = mean_interval([0.80, 0.81, 0.82])
    assert (mean, half) == pytest.approx((0.81, 4.302653 * 0.01 / math.sqrt(3)))


def test_the_interval_covers_the_mean_19_times_in_20() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.1, size=(4000, 3))
    covered = [abs(mean - 0.5) <= half for mean, half in map(mean_interval, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_pairing_takes_out_what_the_runs_share() -> None:
    seeds = np.random.default_rng(1).normal(0.5, 0.2, size=6)
    mean, half = paired_interval((seeds + 0.02).tolist(), seeds.tolist())
    assert mean == pytest.approx(0.02)
    assert half == pytest.approx(0, abs=1e-12)
    assert mean_interval(seeds.tolist())[1] > 0.05


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_swapping_the_two_turns_the_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    mean, half = paired_interval(first, second)
    assert paired_interval(second, first) == pytest.approx((-mean, half))
    if len(pairs) > 2 and half > 1e-6:
        assert (mean - half > 0) == (stats.ttest_rel(first, second, alternative="greater").pvalue < 0.025)


def test_a_single_run_has_no_interval() -> None:
    assert mean_interval([0.7]) == (0.7, None)
    assert paired_interval([0.75], [0.5]) == (0.25, None)


def test_bad_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="mean of no runs"):
        mean_interval([])
    with pytest.raises(ValueError, match="mean of no runs"):
        paired_interval([], [])
    with pytest.raises(ValueError, match="not finite; leave failed runs out"):
        mean_interval([0.5, math.nan])
    with pytest.raises(ValueError, match="3 runs cannot be paired with 2"):
        paired_interval([0.1, 0.2, 0.3], [0.1, 0.2])
