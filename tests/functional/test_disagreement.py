from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.disagreement import disagreement


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4))
def test_it_is_the_divergence_of_the_predictions(seed, samples, classes):
    generator = torch.Generator().manual_seed(seed)
    first, second = 3 * torch.randn(2, samples, classes, generator=generator, dtype=torch.float64)
    expected = []
    for ours, theirs in zip(first.tolist(), second.tolist(), strict=True):
        own = [math.exp(each) / sum(map(math.exp, ours)) for each in ours]
        other = [math.exp(each) / sum(map(math.exp, theirs)) for each in theirs]
        expected.append(sum(p * math.log(p / q) for p, q in zip(own, other, strict=True)))
    found = disagreement(first, second)
    assert found.tolist() == pytest.approx(expected, rel=1e-8, abs=1e-12)
    torch.testing.assert_close(disagreement(first + 3, second - 2), found)
    assert disagreement(first, first).tolist() == pytest.approx([0.0] * samples, abs=1e-12)


def test_predictions_that_are_sure_are_no_infinity():
    sure = torch.tensor([[200.0, 0.0]])
    assert disagreement(sure, -sure).tolist() == [200.0]
    assert disagreement(sure.half(), sure.half()).dtype == torch.float32


def test_logits_of_other_samples_are_refused(unchecked_shapes):
    with pytest.raises(ValueError, match=r"logits and others must have equal shapes.*\(2, 3\) and \(3, 3\)"):
        disagreement(torch.zeros(2, 3), torch.zeros(3, 3))
