from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from unconfound.functional.gaussianity import epps_pulley, random_directions, sigreg


def _draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _naive(column, points, limit):
    """The definition on all points, by complex exponentials and numpy's trapezoidal rule."""
    positions = np.linspace(-limit, limit, points)
    own = np.array([np.mean([np.exp(1j * t * float(x)) for x in column]) for t in positions])
    normal = np.exp(-(positions**2) / 2)
    return len(column) * np.trapezoid(np.abs(own - normal) ** 2 * normal, positions)


def _closed(column):
    """The integral over all of the line, in closed form: a statistic of Baringhaus, Henze, Epps and Pulley."""
    count = len(column)
    pairs = np.exp(-((column[:, None] - column[None]) ** 2) / 2).sum() * math.sqrt(2 * math.pi) / count
    singles = 2 * math.sqrt(math.pi) * np.exp(-(column**2) / 4).sum()
    return pairs - singles + count * math.sqrt(2 * math.pi / 3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([3, 9, 17]), st.sampled_from([1.0, 5.0]))
def test_the_statistic_is_its_definition_at_these_points(seed, rows, points, limit):
    values = 2 * _draw(seed, rows, 3) + 0.3
    found = epps_pulley(values, points=points, limit=limit)
    expected = [_naive(column, points, limit) for column in values.T]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_with_many_points_it_is_the_integral():
    values = 1.5 * _draw(0, 20, 2) - 0.2
    found = epps_pulley(values, points=4001, limit=9.0)
    for value, column in zip(found.tolist(), values.T.numpy(), strict=True):
        assert value == pytest.approx(_closed(column), rel=1e-8)

    def integrand(t):
        return abs(np.mean(np.exp(1j * t * values[:, 0].numpy())) - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2)

    assert found[0].item() == pytest.approx(20 * quad(integrand, -9, 9, epsabs=1e-11)[0], rel=1e-7)


def test_normal_rows_have_a_low_statistic_whatever_their_number_and_others_a_high_one():
    # Its mean is that of (1 - phi^2) phi: sqrt(2 pi) - sqrt(2 pi / 3).
    expected = math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3)
    for rows in (50, 800):
        mean = epps_pulley(_draw(1, rows, 2000)).mean().item()
        assert mean == pytest.approx(expected, rel=0.06)
    for others in (0 * _draw(2, 800, 4), 3 * _draw(2, 800, 4), _draw(2, 800, 4) + 1, _draw(2, 800, 4).sign()):
        assert (epps_pulley(others) > 20).all()


def test_rows_that_are_all_0_have_the_stated_value():
    value = math.sqrt(2 * math.pi) - 2 * math.sqrt(math.pi) + math.sqrt(2 * math.pi / 3)
    assert value == pytest.approx(0.41, abs=0.002)
    found = epps_pulley(torch.zeros(7, 1, dtype=torch.float64), points=2001, limit=9.0)
    assert found.item() == pytest.approx(7 * value, rel=1e-6)


def test_it_moves_rows_towards_a_normal_distribution():
    rows = (0.2 * _draw(3, 64, 3) + 0.5).requires_grad_()
    optimizer = torch.optim.Adam([rows], lr=0.05)
    for step in range(120):
        directions = random_directions(3, 16, generator=torch.Generator().manual_seed(step)).double()
        loss = sigreg(rows, directions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert rows.mean(0).abs().max() < 0.15
    assert (rows.T.cov() - torch.eye(3)).abs().max() < 0.3


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_sigreg_is_the_mean_over_directions_and_does_not_see_the_order_of_rows(seed):
    rows, directions = _draw(seed, 2, 6, 4), random_directions(4, 5).double()
    expected = [np.mean([_naive((view @ direction).numpy(), 17, 5.0) for direction in directions.T]) for view in rows]
    found = sigreg(rows, directions)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(sigreg(rows[:, torch.randperm(6)], -directions), found)


def test_sigreg_of_all_directions_does_not_see_a_rotation():
    rows, directions = _draw(0, 40, 3), random_directions(3, 4000, generator=torch.Generator().manual_seed(0)).double()
    turned = rows @ torch.linalg.qr(_draw(1, 3, 3))[0]
    assert sigreg(turned, directions).item() == pytest.approx(sigreg(rows, directions).item(), rel=0.05)


def test_directions_have_length_1_and_follow_the_generator():
    drawn = [random_directions(6, 300, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    torch.testing.assert_close(drawn[0].norm(dim=0), torch.ones(300))
    assert drawn[0].mean(1).abs().max() < 0.1


def test_gradients_are_exact_and_bounded():
    values = _draw(0, 5, 2).requires_grad_()
    assert torch.autograd.gradcheck(epps_pulley, values, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(epps_pulley, values)
    far = (1e6 * _draw(0, 5, 2)).requires_grad_()
    epps_pulley(far).sum().backward()
    assert far.grad.abs().max() < 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    rows, directions = _draw(0, 8, 4).to(dtype), random_directions(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found = sigreg(rows, directions)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(sigreg(rows.double(), directions.double()).item(), rel=1e-4)


def test_nan_shows():
    values = _draw(0, 5, 2)
    values[0, 0] = math.nan
    assert epps_pulley(values).isnan().tolist() == [True, False]


def test_bad_input_is_refused():
    rows, directions = torch.ones(3, 4), torch.ones(4, 2)
    for points in (1, 2, 16):
        with pytest.raises(ValueError, match=f"points must be odd and at least 3, got {points}"):
            epps_pulley(rows, points=points)
    for limit in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="limit must be a finite number above 0"):
            sigreg(rows, directions, limit=limit)
    with pytest.raises(TypeError, match="values must be floating-point"):
        epps_pulley(rows.long())
    with pytest.raises(ValueError, match=r"values must be .* got shape \(0, 4\)"):
        epps_pulley(rows[:0])
    with pytest.raises(ValueError, match=r"directions \[features, slices\], got shapes \(3, 4\) and \(2, 4\)"):
        sigreg(rows, directions.T)
    with pytest.raises(ValueError, match="slices must be at least 1, got 0"):
        random_directions(3, 0)
