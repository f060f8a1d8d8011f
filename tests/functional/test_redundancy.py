from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.redundancy import barlow_twins, off_diagonal_squares, vicreg


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(seed, batch=6, features=4):
    first, noise = draw(seed, 2, batch, features)
    return 1.5 * first + 0.3, first + 0.5 * noise


def columns(rows):
    """The features, each a list of Python's floats."""
    return [[float(value) for value in column] for column in rows.T]


def covariance(left, right, divisor):
    left_mean, right_mean = sum(left) / len(left), sum(right) / len(right)
    return sum((a - left_mean) * (b - right_mean) for a, b in zip(left, right, strict=True)) / divisor


def naive_barlow_twins(first, second, weight, epsilon):
    ones, others, batch, total = columns(first), columns(second), len(first), 0.0
    for i, one in enumerate(ones):
        for j, other in enumerate(others):
            deviations = math.sqrt(covariance(one, one, batch) + epsilon) * math.sqrt(
                covariance(other, other, batch) + epsilon
            )
            correlation = covariance(one, other, batch) / deviations
            total += (1 - correlation) ** 2 if i == j else weight * correlation**2
    return total


def naive_vicreg(first, second, epsilon):
    batch, features = first.shape
    invariance = sum((float(a) - float(b)) ** 2 for a, b in zip(first.flatten(), second.flatten(), strict=True))
    variance = repetition = 0.0
    for view in (columns(first), columns(second)):
        for i, one in enumerate(view):
            variance += max(0, 1 - math.sqrt(covariance(one, one, batch - 1) + epsilon)) / (2 * features)
            for j, other in enumerate(view):
                repetition += covariance(one, other, batch - 1) ** 2 / features if i != j else 0
    return invariance / (batch * features), variance, repetition


# Both ways to the squares off the diagonal are taken: more than two features a row, and fewer.
sizes = given(seed=st.integers(0, 10**6), batch=st.integers(2, 6), features=st.integers(1, 14))


@settings(deadline=None, max_examples=25)
@sizes
def test_barlow_twins_is_its_definition(seed, batch, features):
    first, second = pair(seed, batch, features)
    for weight, epsilon in ((0.0051, 1e-5), (2.0, 0.0), (0.0, 1e-2)):
        value = barlow_twins(first, second, off_diagonal_weight=weight, epsilon=epsilon)
        assert value.item() == pytest.approx(naive_barlow_twins(first, second, weight, epsilon), rel=1e-9, abs=1e-10)


@settings(deadline=None, max_examples=25)
@sizes
def test_vicreg_is_its_definition(seed, batch, features):
    first, second = pair(seed, batch, features)
    loss, *terms = vicreg(first, second)
    expected = naive_vicreg(first, second, 1e-4)
    assert [term.item() for term in terms] == pytest.approx(expected, rel=1e-9, abs=1e-10)
    weighted = 25 * expected[0] + 25 * expected[1] + expected[2]
    assert loss.item() == pytest.approx(weighted, rel=1e-9, abs=1e-10)
    weighted = 3 * expected[0] + 0 * expected[1] + 7 * expected[2]
    value = vicreg(first, second, invariance=3, variance=0, covariance=7).loss
    assert value.item() == pytest.approx(weighted, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("features", [3, 16, 17, 40])
def test_squares_off_the_diagonal(features):
    left, right = draw(0, 2, 8, features)
    product = left.T @ right
    expected = product.square().sum() - product.diagonal().square().sum()
    torch.testing.assert_close(off_diagonal_squares(left, right), expected)
    assert off_diagonal_squares(left[:, :1], right[:, :1]).item() == 0


LOSSES = {"barlow_twins": barlow_twins, "vicreg": lambda first, second: vicreg(first, second).loss}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@each_loss
@pytest.mark.parametrize("shape", [(5, 3), (3, 8)])
def test_gradients_are_exact_forwards_backwards_and_twice(loss, shape):
    first, second = (0.4 * view.requires_grad_() for view in draw(1, 2, *shape))
    assert torch.autograd.gradcheck(loss, (first, second), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, (first, second))


@each_loss
@pytest.mark.parametrize("shape", [(6, 4), (4, 12)])
def test_the_order_of_samples_features_and_views_does_not_matter(loss, shape):
    first, second = pair(2, *shape)
    rows, features = torch.randperm(shape[0]), torch.randperm(shape[1])
    expected = loss(first, second)
    torch.testing.assert_close(loss(first[rows], second[rows]), expected)
    torch.testing.assert_close(loss(first[:, features], second[:, features]), expected)
    torch.testing.assert_close(loss(second, first), expected)
    torch.testing.assert_close(loss(first + 3, second + 3), expected)


def test_the_scale_of_features_matters_to_vicreg_alone():
    first, second = pair(3)
    scale = torch.tensor([1.0, 3.0, 100.0, 0.5], dtype=torch.float64)
    value = barlow_twins(scale * first + 5, 2 * second, epsilon=0)
    torch.testing.assert_close(value, barlow_twins(first, second, epsilon=0))
    assert vicreg(2 * first, 2 * second).loss > 1.5 * vicreg(first, second).loss


def test_the_best_embeddings_have_the_loss_zero():
    # Columns of a Hadamard matrix: mean 0, uncorrelated, each of variance 8 / 7.
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    best = torch.kron(two, torch.kron(two, two))[:, 1:]
    assert barlow_twins(best, best, epsilon=0).item() == pytest.approx(0, abs=1e-12)
    assert vicreg(best, best).loss.item() == pytest.approx(0, abs=1e-12)
    # Opposite views have the correlation -1.
    assert barlow_twins(best, -best, epsilon=0).item() == pytest.approx(4 * 7)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_embeddings_that_are_all_equal_have_a_high_loss_and_no_gradient(value):
    first = torch.full((6, 5), value, requires_grad=True)
    second = torch.full((6, 5), 2 * value)
    for loss, expected in ((barlow_twins(first, second), 5), (vicreg(first, first).loss, 24.75)):
        assert loss.item() == pytest.approx(expected, abs=1e-4)
        (gradient,) = torch.autograd.grad(loss, first)
        assert gradient.abs().max() < 1e-2


def test_features_that_repeat_each_other_cost():
    first, second = pair(4, batch=30)
    repeated = [view[:, :1].expand(-1, 4) for view in (first, second)]
    assert barlow_twins(*repeated, off_diagonal_weight=1) > 2 * barlow_twins(first, second, off_diagonal_weight=1)
    assert vicreg(*repeated).covariance > 5 * vicreg(first, second).covariance


@each_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_also_under_autocast(loss, dtype):
    # Sums of squares leave the range of float16, gradients do not.
    first, second = (4 * view.to(dtype) for view in pair(5, 8, 40))
    expected = loss(first.float(), second.float())
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(first.requires_grad_(), second)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    value.backward()
    assert first.grad.isfinite().all()


@each_loss
def test_numbers_that_are_none_show(loss):
    first, second = pair(6)
    for bad in (math.nan, math.inf):
        first[0, 0] = bad
        assert loss(first, second).isnan()


@each_loss
def test_wrong_input_is_refused(loss, unchecked_shapes):
    first, second = pair(7)
    with pytest.raises(ValueError, match=r"this batch holds 1: use at least 2"):
        loss(first[:1], second[:1])
    with pytest.raises(ValueError, match=r"equal shapes.*\(6, 4\) and \(5, 4\)"):
        loss(first, second[:5])
    with pytest.raises(ValueError, match=r"second must be \[rows, features\]"):
        loss(first, second[0])
    with pytest.raises(TypeError, match=r"first must be floating-point, got torch.int64"):
        loss(first.long(), second)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_options_out_of_range_are_refused(value):
    views = pair(8)
    for name in ("off_diagonal_weight", "epsilon"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0, got {value}"):
            barlow_twins(*views, **{name: value})
    for name in ("invariance", "variance", "covariance", "epsilon"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0, got {value}"):
            vicreg(*views, **{name: value})
    with pytest.raises(ValueError, match="epsilon must be above 0, got 0"):
        vicreg(*views, epsilon=0)


def test_barlow_twins_keeps_its_digits_far_from_the_origin():
    generator = torch.Generator().manual_seed(0)
    first, second = 1000 + torch.randn(2, 32, 8, generator=generator)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        rows = first.to(dtype).requires_grad_()
        barlow_twins(rows, second.to(dtype)).backward()
        gradients.append(rows.grad.double())
    assert (gradients[1] - gradients[0]).norm() < 1e-4 * gradients[0].norm()
