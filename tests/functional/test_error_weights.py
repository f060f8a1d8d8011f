from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unconfound.functional.error_weights import descend_to_weighted, error_weights


def _drawn(seed, samples=7, classes=3, features=4):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(samples, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (samples,), generator=generator)
    rows = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    return logits, labels, rows


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 4), st.floats(0, 30))
def test_weights_fall_with_the_probability_of_the_right_class(seed, samples, classes, gamma):
    logits, labels, _ = _drawn(seed, samples, classes)
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        right = math.exp(row[label]) / sum(map(math.exp, row))
        expected.append(math.exp(-gamma * right) / labels.tolist().count(label))
    found = error_weights(logits, labels, gamma=gamma)
    assert found.tolist() == pytest.approx([each / sum(expected) for each in expected], rel=1e-9)


def test_weights_of_known_samples():
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    # Two samples of one class weigh as much as the one of the other.
    assert error_weights(logits, torch.tensor([0, 0, 1]), gamma=9.0).tolist() == pytest.approx([0.25, 0.25, 0.5])
    sure = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    right, wrong = error_weights(sure, torch.tensor([0, 0]), gamma=2.0).tolist()
    assert wrong / right == pytest.approx(math.exp(2.0))
    # So large a gamma would leave nothing of exp(-gamma p) in float32.
    assert error_weights(sure[:1], torch.tensor([0]), gamma=1e4).tolist() == [1.0]
    assert error_weights(sure.half(), torch.tensor([0, 0]), gamma=2.0).dtype == torch.float32


def test_descent_is_that_of_autograd():
    logits, labels, rows = _drawn(3, samples=9)
    weights = error_weights(logits, labels, gamma=4.0)
    start = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    layer.weight.data, layer.bias.data = start[0].clone(), start[1].clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        apart = (layer.weight - start[0]).square().sum() + (layer.bias - start[1]).square().sum()
        entropy = F.cross_entropy(layer(rows), labels, reduction="none")
        ((weights * entropy).sum() + 0.3 * apart).backward()
        optimizer.step()
    before = start[0].clone()
    weight, bias = descend_to_weighted(rows, labels, weights, start=start, pull=0.3, steps=12, learning_rate=0.1)
    torch.testing.assert_close(weight, layer.weight.data)
    torch.testing.assert_close(bias, layer.bias.data)
    assert torch.equal(start[0], before)


def test_embeddings_of_any_scale_reach_the_minimum():
    _, labels, rows = _drawn(4, samples=12)
    weights = torch.full((12,), 1 / 12, dtype=torch.float64)
    start = torch.zeros(3, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    # At this scale and learning rate plain descent diverges.
    weight, bias = descend_to_weighted(
        100 * rows, labels, weights, start=start, pull=50.0, steps=4000, learning_rate=0.1
    )
    weight, bias = weight.requires_grad_(), bias.requires_grad_()
    entropy = (weights * F.cross_entropy(100 * rows @ weight.T + bias, labels, reduction="none")).sum()
    slopes = torch.autograd.grad(entropy + 50 * (weight.square().sum() + bias.square().sum()), (weight, bias))
    assert max(slope.abs().max().item() for slope in slopes) < 1e-6


def test_a_strong_pull_and_samples_of_no_weight_change_nothing():
    _, labels, rows = _drawn(5)
    start = torch.ones(3, 4), torch.ones(3)
    for weights, pull in ((torch.zeros(7), 0.0), (torch.full((7,), 1 / 7), 1e9)):
        weight, bias = descend_to_weighted(
            rows.float(), labels, weights, start=start, pull=pull, steps=5, learning_rate=0.1
        )
        assert weight.dtype == torch.float64
        torch.testing.assert_close(weight, torch.ones(3, 4, dtype=torch.float64), atol=1e-6, rtol=0)
        torch.testing.assert_close(bias, torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)


def test_bad_input_is_refused(unchecked_shapes):
    logits, labels, rows = _drawn(6)
    with pytest.raises(ValueError, match="gamma must be a finite number of at least 0, got -1"):
        error_weights(logits, labels, gamma=-1)
    with pytest.raises(ValueError, match=r"got shapes \(7, 3\) and \(6,\)"):
        error_weights(logits, labels[:6], gamma=1.0)
    start = torch.zeros(3, 4), torch.zeros(3)
    given = {"start": start, "pull": 0.1, "steps": 2, "learning_rate": 0.1}
    with pytest.raises(ValueError, match=r"one weight a sample, got 7 samples and weights of shape \(6,\)"):
        descend_to_weighted(rows, labels, torch.ones(6), **given)
    with pytest.raises(ValueError, match="give at least one sample"):
        descend_to_weighted(rows[:0], labels[:0], torch.ones(0), **given)
    for name, value in (("pull", -0.1), ("steps", 0), ("learning_rate", math.nan)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            descend_to_weighted(rows, labels, torch.ones(7), **given | {name: value})
