from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.spread import koleo


def _draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _naive(rows):
    points = [row / row.norm() for row in rows]
    total = 0.0
    for i, point in enumerate(points):
        total -= math.log(min(float((point - other).norm()) for j, other in enumerate(points) if j != i))
    return total / len(points)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 5), st.sampled_from([1e-3, 1.0, 1e4]))
def test_it_is_its_definition_at_any_scale(seed, rows, features, scale):
    values = scale * _draw(seed, rows, features)
    assert koleo(values).item() == pytest.approx(_naive(values), abs=1e-9)


def test_near_rows_are_told_apart_in_float32():
    first = torch.nn.functional.normalize(_draw(0, 1, 8))
    rows = torch.cat([first, first + 1e-5 * _draw(1, 1, 8)])
    assert koleo(rows.float()).item() == pytest.approx(_naive(rows), abs=0.02)


def test_rows_that_are_equal_are_finite_and_still():
    rows = _draw(0, 1, 4).repeat(3, 1).requires_grad_()
    loss = koleo(rows)
    assert loss.item() == pytest.approx(-math.log(1e-8))
    loss.backward()
    assert not rows.grad.any()


def test_it_pushes_rows_apart():
    rows = (_draw(0, 1, 3) + 0.1 * _draw(1, 16, 3)).requires_grad_()
    optimizer = torch.optim.Adam([rows], lr=0.03)
    losses = []
    for _ in range(100):
        loss = koleo(rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1.5


def test_gradients_are_exact():
    rows = _draw(0, 6, 3).requires_grad_()
    assert torch.autograd.gradcheck(koleo, rows, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(koleo, rows)


def test_half_precision_is_computed_in_float32():
    rows = _draw(0, 6, 4).to(torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        found = koleo(rows)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(koleo(rows.double()).item(), rel=1e-4)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"koleo measures how .* this batch holds 1: use at least 2"):
        koleo(torch.ones(1, 3))
    with pytest.raises(ValueError, match="closest must be a finite number above 0, got 0"):
        koleo(torch.ones(2, 3), closest=0.0)
    with pytest.raises(TypeError, match="rows must be floating-point"):
        koleo(torch.ones(2, 3).long())
