from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unconfound.evaluation.paired import mean_interval, paired_interval

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


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="mean of no runs"):
        mean_interval([])
    with pytest.raises(ValueError, match="mean of no runs"):
        paired_interval([], [])
    with pytest.raises(ValueError, match="not finite; leave failed runs out"):
        mean_interval([0.5, math.nan])
    with pytest.raises(ValueError, match="3 runs cannot be paired with 2"):
        paired_interval([0.1, 0.2, 0.3], [0.1, 0.2])
