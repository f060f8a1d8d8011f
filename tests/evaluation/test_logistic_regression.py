from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression as Reference

from unconfound.evaluation.logistic_regression import LogisticRegression, Solution


def correlated(samples: int, features: int, classes: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features whose principal axes differ a thousandfold in spread."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(features, features)) * np.logspace(0, -3, features)[:, None]
    targets = np.arange(samples) % classes
    values = (random.normal(size=(samples, features)) + random.normal(size=(classes, features))[targets]) @ mix
    return values - values.mean(axis=0), targets


def loss(solution: Solution, values: np.ndarray, targets: np.ndarray, strength: float):
    weights = torch.from_numpy(solution.weights).clone().requires_grad_()
    bias = torch.from_numpy(solution.bias).clone().requires_grad_()
    logits = torch.from_numpy(values) @ weights.T + bias
    value = F.cross_entropy(logits, torch.from_numpy(targets)) + strength / 2 * weights.square().sum()
    value.backward()
    return value.item(), max(weights.grad.abs().max().item(), bias.grad.abs().max().item())


@given(
    st.integers(0, 2**31),
    st.sampled_from([(60, 8), (20, 30)]),
    st.integers(2, 5),
    st.sampled_from([1.0, 1e-2, 1e-4]),
)
@example(2**31, (20, 30), 5, 1e-4)
@settings(deadline=None, max_examples=20)
def test_solution_has_no_gradient(seed: int, shape: tuple[int, int], classes: int, strength: float) -> None:
    values, targets = correlated(*shape, classes, seed=seed)
    solution = LogisticRegression(values, targets, classes=classes).solve(strength, tolerance=1e-8)
    # The solver ends where float64 shows the loss no lower by 64 units in the last place. Before that, the gradient is
    # up to about sqrt(2 x curvature x 64 eps): 4e-6 at most in 3,600 draws.
    assert loss(solution, values, targets, strength)[1] < 2e-5


@pytest.mark.parametrize("strength", [1.0, 1e-3])
def test_agrees_with_scikit_learn(strength: float) -> None:
    values, targets = correlated(300, 6, 3, seed=1)
    solution = LogisticRegression(values, targets, classes=3).solve(strength, tolerance=1e-9)
    reference = Reference(C=1 / (strength * 300), tol=1e-9, max_iter=10_000).fit(values, targets)
    np.testing.assert_allclose(solution.weights, reference.coef_, atol=1e-4)


def test_correlated_features_take_few_steps() -> None:
    values, targets = correlated(1000, 64, 5, seed=2)
    # Classes that overlap, as those of real embeddings do.
    targets = np.where(np.random.default_rng(0).random(1000) < 0.3, targets[::-1], targets)
    solution = LogisticRegression(values, targets, classes=5).solve(1e-4)
    reference = Reference(C=1 / (1e-4 * 1000), tol=1e-5, max_iter=10_000).fit(values, targets)
    assert solution.converged
    assert solution.iterations < reference.n_iter_.max() / 3
    assert (
        loss(solution, values, targets, 1e-4)[0]
        < 1e-4 + loss(Solution(reference.coef_, reference.intercept_, 0, True), values, targets, 1e-4)[0]
    )


def test_a_solution_is_where_the_next_may_start() -> None:
    values, targets = correlated(300, 20, 4, seed=3)
    model = LogisticRegression(values, targets, classes=4)
    first = model.solve(1e-2)
    again = model.solve(1e-2, start=first)
    assert again.iterations <= 1
    np.testing.assert_allclose(again.weights, first.weights, atol=1e-3)


def test_features_without_spread_get_no_weight() -> None:
    values, targets = correlated(50, 4, 2, seed=4)
    solution = LogisticRegression(np.hstack([values, np.zeros((50, 2))]), targets, classes=2).solve(0.1)
    assert np.abs(solution.weights[:, 4:]).max() < 1e-9
    alone = LogisticRegression(values, targets, classes=2).solve(0.1)
    np.testing.assert_allclose(solution.weights[:, :4], alone.weights, atol=1e-4)


def test_huge_features_do_not_overflow() -> None:
    values, targets = correlated(50, 4, 2, seed=5)
    solution = LogisticRegression(1e6 * values, targets, classes=2).solve(1e-4)
    assert np.isfinite(solution.weights).all()


@pytest.mark.parametrize("strength", [1e-1, 1e-3])
def test_many_values_are_solved_as_exactly_as_few(monkeypatch, strength: float) -> None:
    values, targets = correlated(700, 40, 4, seed=6)
    targets = np.where(np.random.default_rng(0).random(700) < 0.3, targets[::-1], targets)
    few = LogisticRegression(values, targets, classes=4)
    monkeypatch.setattr("unconfound.evaluation.logistic_regression._LARGE", 1000)
    monkeypatch.setattr("unconfound.evaluation.logistic_regression._ROWS", 128)
    many = LogisticRegression(values, targets, classes=4)
    assert few.rotated.dtype == np.float64
    assert many.rotated.dtype == np.float32
    first, second = few.solve(strength, tolerance=1e-6), many.solve(strength, tolerance=1e-6)
    assert second.converged
    assert loss(second, values, targets, strength) == pytest.approx(loss(first, values, targets, strength), abs=1e-5)
    assert many.solve(strength, start=second, tolerance=1e-5).iterations <= 2
    assert many.solve(strength, iterations=2).converged is False


def test_stopping_early_is_told() -> None:
    values, targets = correlated(300, 20, 4, seed=3)
    solution = LogisticRegression(values, targets, classes=4).solve(1e-6, iterations=2)
    assert (solution.iterations, solution.converged) == (2, False)
