from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from unconfound.functional.clusters import normalized_mutual_information


@settings(deadline=None, max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 10**9)), min_size=1, max_size=60))
def test_agrees_with_scikit_learn(pairs):
    first, second = torch.tensor(pairs).T
    second = second % 4
    expected = normalized_mutual_info_score(first.numpy(), second.numpy())
    assert normalized_mutual_information(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_same_and_independent_divisions():
    parts = torch.arange(12) % 3
    assert normalized_mutual_information(parts, 7 - parts) == pytest.approx(1)
    assert normalized_mutual_information(parts, torch.arange(12) // 6) == pytest.approx(0, abs=1e-12)
    assert normalized_mutual_information(parts * 0, parts * 0) == 1


def test_divisions_of_other_samples_are_refused():
    with pytest.raises(ValueError, match="the same samples, one at least, got 2 and 3"):
        normalized_mutual_information(torch.arange(2), torch.arange(3))
    with pytest.raises(ValueError, match="got 0 and 0"):
        normalized_mutual_information(torch.arange(0), torch.arange(0))
