from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.foregrounds.otsu import otsu_thresholds


def _naive(row, bins):
    """Try every threshold between bins, and return the lowest of the largest variance between classes."""
    least, greatest = min(row), max(row)
    levels = [min(int((value - least) / (greatest - least) * bins), bins - 1) for value in row]
    variances = []
    for threshold in range(1, bins):
        low = [level for level in levels if level < threshold]
        high = [level for level in levels if level >= threshold]
        difference = sum(low) / len(low) - sum(high) / len(high)
        variances.append(len(low) * len(high) / len(row) ** 2 * difference**2)
    best = max(variances)
    places = [place for place, variance in enumerate(variances, 1) if variance > best - 1e-9]
    return [least + place / bins * (greatest - least) for place in places]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=30, unique=True), st.sampled_from([2, 5, 64]))
def test_no_other_threshold_divides_better(values, bins):
    row = [value / 1000 for value in values]
    threshold = otsu_thresholds(torch.tensor([row], dtype=torch.float64), bins=bins).item()
    assert min(abs(threshold - place) for place in _naive(row, bins)) < 1e-9


def test_two_levels_are_told_apart_in_each_row():
    values = torch.tensor([[0.0, 0.0, 0.0, 1.0], [-5.0, 7.0, 7.0, 7.0]])
    thresholds = otsu_thresholds(values)
    assert (values > thresholds[:, None]).tolist() == [[False, False, False, True], [False, True, True, True]]


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7])
def test_nothing_exceeds_the_threshold_of_a_row_of_one_value(value):
    values = torch.full((2, 9), value)
    assert otsu_thresholds(values).tolist() == values[:, 0].tolist()
