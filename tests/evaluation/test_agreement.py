from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from unconfound.evaluation.agreement import adjusted_rand, ranked_higher


def _divided(samples, parts, seed):
    return torch.randint(parts, (samples,), generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(samples=st.integers(2, 30), parts=st.integers(1, 6), others=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_index_counts_pairs(samples, parts, others, seed):
    first, second = _divided(samples, parts, seed), 7 + _divided(samples, others, seed + 1000)
    found = adjusted_rand(first, second)
    assert found.samples == samples
    assert found.value == pytest.approx(adjusted_rand_score(first.tolist(), second.tolist()))
    together = apart = ones = twos = 0
    for one, two in combinations(range(samples), 2):
        same, alike = bool(first[one] == first[two]), bool(second[one] == second[two])
        together, ones, twos, apart = together + (same and alike), ones + same, twos + alike, apart + 1
    expected = ones * twos / apart
    if (ones + twos) / 2 > expected:
        assert found.value == pytest.approx((together - expected) / ((ones + twos) / 2 - expected))
    assert found.value <= found.most + 1e-12
    assert found.low <= found.high <= found.most + 1e-12
    again = adjusted_rand(second, first)
    assert (again.value, again.most) == pytest.approx((found.value, found.most))


def test_the_range_is_that_of_shuffled_divisions():
    first, second = _divided(300, 2, 0), _divided(300, 5, 1)
    found = adjusted_rand(first, second)
    generator = torch.Generator().manual_seed(2)
    shuffled = [
        adjusted_rand_score(first[torch.randperm(300, generator=generator)].tolist(), second.tolist())
        for _ in range(200)
    ]
    low, high = np.quantile(shuffled, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.002)
    assert found.high == pytest.approx(high, abs=0.004)
    assert adjusted_rand(first, second) == found
    assert adjusted_rand(first, second, seed=1) != found


def test_whole_parts_of_a_finer_division_reach_the_most():
    fine = torch.arange(100) % 10
    found = adjusted_rand(fine // 5, fine)
    assert found.value == pytest.approx(found.most)
    assert 0.15 < found.most < 0.25
    assert adjusted_rand(fine, fine).value == adjusted_rand(fine, fine).most == 1
    # Nothing is to be learnt of a division in one part, but that it is the same as another of one part.
    one = torch.zeros(100, dtype=torch.long)
    assert (adjusted_rand(one, fine).value, adjusted_rand(one, fine).most) == (0, 0)
    assert adjusted_rand(one, one).value == 1
    assert adjusted_rand(one[:1], fine[:1]).value == 1


@given(samples=st.integers(2, 40), levels=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_area_counts_who_is_above_whom(samples, levels, seed):
    scores, positive = _divided(samples, levels, seed) / 7, _divided(samples, 2, seed + 1000) == 1
    positive[0], positive[1] = True, False
    found = ranked_higher(scores, positive)
    assert found.value == pytest.approx(roc_auc_score(positive.numpy(), scores.numpy()))
    above = 0.0
    for one in scores[positive]:
        for other in scores[~positive]:
            above += float(one > other) + 0.5 * float(one == other)
    assert found.value == pytest.approx(above / (int(positive.sum()) * int((~positive).sum())))
    assert found.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize("levels", [2, 1000])
def test_the_areas_range_is_that_of_shuffled_scores(levels):
    scores, positive = _divided(200, levels, 0).double(), torch.arange(200) % 4 == 0
    found, generator = ranked_higher(scores, positive), torch.Generator().manual_seed(2)
    shuffled = [ranked_higher(scores[torch.randperm(200, generator=generator)], positive).value for _ in range(400)]
    low, high = np.quantile(shuffled, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="got 3 and 2: give both of all"):
        adjusted_rand(torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match="got 0 and 0"):
        adjusted_rand(torch.arange(0), torch.arange(0))
    with pytest.raises(ValueError, match="2 of 2 samples are positive"):
        ranked_higher(torch.rand(2), torch.ones(2, dtype=torch.bool))
