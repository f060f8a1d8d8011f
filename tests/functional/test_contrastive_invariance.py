from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.contrastive import nt_xent, supervised_contrastive
from unconfound.functional.invariance import (
    nt_xent_scale_gradient,
    scale_gradient,
    supervised_contrastive_scale_gradient,
    supervised_nt_xent_scale_gradient,
)

seeds = st.integers(0, 10**6)
STEP = 1e-5


def _derivative(loss):
    return (loss(1 + STEP) - loss(1 - STEP)) / (2 * STEP)


def _rows(seed, batch, features=3):
    return torch.randn(batch, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labelled(seed, batch):
    """Rows of which two share a class, and two do not."""
    generator = torch.Generator().manual_seed(seed + 1)
    labels = torch.cat([torch.tensor([0, 0, 1]), torch.randint(3, (batch - 3,), generator=generator)])
    return _rows(seed, batch), labels, torch.rand(batch, 2, generator=generator, dtype=torch.float64)


def _scores(rows, temperature):
    unit = [[value / math.hypot(*row) for value in row] for row in rows.tolist()]
    return [[sum(a * b for a, b in zip(x, y, strict=True)) / temperature for y in unit] for x in unit]


def _nt_xent(scores, c):
    batch, total = len(scores) // 2, 0.0
    for i, row in enumerate(scores):
        others = sum(math.exp(c * own) for k, own in enumerate(row) if k != i)
        total -= math.log(math.exp(c * row[(i + batch) % len(row)]) / others)
    return total / len(scores)


def _pairs(scores, labels, weights, c):
    total = size = 0.0
    for a, row in enumerate(scores):
        negatives = sum(math.exp(c * own) for k, own in enumerate(row) if labels[k] != labels[a])
        for p, own in enumerate(row):
            if p != a and labels[p] == labels[a]:
                total -= weights[a] * math.log(math.exp(c * own) / (math.exp(c * own) + negatives))
                size += weights[a]
    return total / size


def _supervised(scores, labels, weights, c):
    total = size = 0.0
    for a, row in enumerate(scores):
        others = sum(math.exp(c * own) for k, own in enumerate(row) if k != a)
        positives = [c * own for p, own in enumerate(row) if p != a and labels[p] == labels[a]]
        if positives:
            total += weights[a] * (math.log(others) - sum(positives) / len(positives))
            size += weights[a]
    return total / size


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 4), st.sampled_from([0.1, 0.5, 1.0]))
def test_nt_xent(seed, batch, temperature):
    first, second = _rows(seed, 2 * batch).chunk(2)
    found = nt_xent_scale_gradient(first, second, temperature=temperature)
    scores = _scores(torch.cat([first, second]), temperature)
    assert found.item() == pytest.approx(_derivative(lambda c: _nt_xent(scores, c)), abs=1e-8)
    # Heat is a scale, too.
    by_temperature = (
        nt_xent(first, second, temperature=temperature + STEP) - nt_xent(first, second, temperature=temperature - STEP)
    ) / (2 * STEP)
    assert found.item() == pytest.approx(-temperature * by_temperature.item(), abs=1e-6)
    one = torch.ones((), dtype=torch.float64)
    unit = torch.nn.functional.normalize(torch.cat([first, second]))
    if batch > 1:
        mask = torch.full((2 * batch, 2 * batch), 0.0, dtype=torch.float64).fill_diagonal_(-torch.inf)
        pairs = torch.arange(2 * batch).roll(batch)
        general = scale_gradient(
            lambda scale: torch.nn.functional.cross_entropy(scale * (unit @ unit.T) / temperature + mask, pairs), one
        )
        torch.testing.assert_close(found, general)


@pytest.mark.parametrize(
    ("closed", "loss"),
    [(supervised_nt_xent_scale_gradient, _pairs), (supervised_contrastive_scale_gradient, _supervised)],
)
@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(3, 7), st.sampled_from([0.1, 0.5]))
def test_losses_of_labels(closed, loss, seed, batch, temperature):
    rows, labels, weights = _labelled(seed, batch)
    scores = _scores(rows, temperature)
    found = closed(rows, labels, weights, temperature=temperature)
    for j in range(2):
        expected = _derivative(lambda c, j=j: loss(scores, labels.tolist(), weights[:, j].tolist(), c))
        assert found[j].item() == pytest.approx(expected, abs=1e-7)
    expected = _derivative(lambda c: loss(scores, labels.tolist(), [1.0] * batch, c))
    assert closed(rows, labels, temperature=temperature).item() == pytest.approx(expected, abs=1e-7)
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(closed(rows[order], labels[order], weights[order], temperature=temperature), found)
    torch.testing.assert_close(closed(3 * rows, labels, weights, temperature=temperature), found)


def test_supervised_contrastive_is_that_of_the_library():
    rows, labels, _ = _labelled(0, 6)
    found = supervised_contrastive_scale_gradient(rows, labels, temperature=0.3)
    by_temperature = (
        supervised_contrastive(rows, labels, temperature=0.3 + STEP)
        - supervised_contrastive(rows, labels, temperature=0.3 - STEP)
    ) / (2 * STEP)
    assert found.item() == pytest.approx(-0.3 * by_temperature.item(), abs=1e-7)


def test_gradients():
    rows, labels, weights = _labelled(1, 5)
    rows.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda own: nt_xent_scale_gradient(own[:2], own[2:4], temperature=0.5), rows.detach()[:4].requires_grad_()
    )
    for closed in (supervised_nt_xent_scale_gradient, supervised_contrastive_scale_gradient):
        assert torch.autograd.gradcheck(
            lambda own, by: closed(own, labels, by, temperature=0.5),  # noqa: B023
            (rows, weights.requires_grad_()),
        )


def test_one_pair_has_no_negatives_and_equal_rows_no_slope():
    first = _rows(0, 1).requires_grad_()
    found = nt_xent_scale_gradient(first, _rows(1, 1), temperature=0.1)
    assert found.item() == 0
    found.backward()
    assert first.grad.abs().max() == 0
    equal = torch.ones(4, 3)
    assert nt_xent_scale_gradient(equal[:2], equal[2:], temperature=0.1).item() == pytest.approx(0, abs=1e-5)
    labels = torch.tensor([0, 0, 1, 1])
    assert supervised_nt_xent_scale_gradient(equal, labels, temperature=0.1).item() == pytest.approx(0, abs=1e-5)


def test_half_precision_and_low_temperatures():
    rows, labels, weights = _labelled(2, 6)
    for closed in (supervised_nt_xent_scale_gradient, supervised_contrastive_scale_gradient):
        exact = closed(rows, labels, weights, temperature=0.01)
        torch.testing.assert_close(
            closed(rows.float(), labels, weights.float(), temperature=0.01).double(), exact, rtol=1e-4, atol=1e-3
        )
        half = rows.bfloat16().requires_grad_()
        found = closed(half, labels, weights.float(), temperature=0.01)
        assert found.dtype == torch.float32
        found.square().sum().backward()
        assert half.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        found = nt_xent_scale_gradient(rows[:3].float(), rows[3:].float(), temperature=0.05)
    exact = nt_xent_scale_gradient(rows[:3], rows[3:], temperature=0.05)
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named():
    rows = torch.ones(3, 2)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got 0"):
        nt_xent_scale_gradient(rows, rows, temperature=0)
    with pytest.raises(ValueError, match="equal shapes"):
        nt_xent_scale_gradient(rows, rows[:2], temperature=0.5)
    for closed in (supervised_nt_xent_scale_gradient, supervised_contrastive_scale_gradient):
        with pytest.raises(ValueError, match="no two of the 3 rows share a label"):
            closed(rows, torch.arange(3), temperature=0.5)
        with pytest.raises(TypeError, match="labels must be integers"):
            closed(rows, torch.zeros(3), temperature=0.5)
    with pytest.raises(ValueError, match="all 3 rows are of one class, so there is no negative"):
        supervised_nt_xent_scale_gradient(rows, torch.zeros(3, dtype=torch.long), temperature=0.5)
