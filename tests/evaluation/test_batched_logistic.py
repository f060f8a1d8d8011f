from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression as Reference

from unconfound.evaluation.batched_logistic import Fits, fit_together, principal_axes


def problem(samples: int, features: int, classes: int, *, fits: int, seed: int) -> dict:
    """Fits of random parts of correlated features, each standardised by its own part."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(samples) % classes
    values = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    values += torch.randn(classes, features, generator=generator, dtype=torch.float64)[targets]
    values = values @ torch.randn(features, features, generator=generator, dtype=torch.float64)
    values = (values - values.mean(0)) / values.std(0)
    members = torch.rand(fits, samples, generator=generator) < 0.7
    members[:, : 2 * classes] = True
    return {
        "features": values,
        "targets": targets,
        "members": members,
        "moments": (
            torch.stack([values[part].mean(0) for part in members]),
            torch.stack([values[part].std(0, correction=0) for part in members]),
        ),
        "axes": principal_axes(values),
    }


def gradient(fits: Fits, given: dict, fit: int, strength: float) -> float:
    """The largest derivative of one fit's loss, by autograd on its own standardised samples."""
    part = given["members"][fit]
    values = ((given["features"] - given["moments"][0][fit]) / given["moments"][1][fit])[part]
    weights, bias = fits.weights[fit].clone().requires_grad_(), fits.bias[fit].clone().requires_grad_()
    loss = F.cross_entropy(values @ weights.T + bias, given["targets"][part]) + strength / 2 * weights.square().sum()
    loss.backward()
    return max(weights.grad.abs().max().item(), bias.grad.abs().max().item())


@given(
    st.integers(0, 2**31),
    st.sampled_from([(60, 8), (20, 30), (150, 140)]),
    st.integers(2, 5),
    st.lists(st.sampled_from([1.0, 1e-1, 1e-2, 1e-3]), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=20)
def test_no_fit_has_a_gradient(seed: int, shape: tuple[int, int], classes: int, strengths: list[float]) -> None:
    parts = problem(*shape, classes, fits=len(strengths), seed=seed)
    fits = fit_together(**parts, strengths=torch.tensor(strengths).double(), tolerance=1e-7)
    assert fits.converged.all()
    for fit, strength in enumerate(torch.tensor(strengths).double().tolist()):
        assert gradient(fits, parts, fit, strength) < 1.2e-7


@pytest.mark.parametrize("classes", [2, 4])
def test_each_fit_agrees_with_scikit_learn_on_its_members(classes: int) -> None:
    parts = problem(200, 30, classes, fits=4, seed=1)
    strengths = [1.0, 0.1, 1e-2, 1e-3]
    fits = fit_together(**parts, strengths=torch.tensor(strengths, dtype=torch.float64), tolerance=1e-9)
    for fit, strength in enumerate(strengths):
        part = parts["members"][fit]
        values = ((parts["features"] - parts["moments"][0][fit]) / parts["moments"][1][fit]).numpy()
        # Of two classes scikit-learn fits the difference of our two rows, whose penalty is half as large.
        inverse = (2 if classes == 2 else 1) / (strength * int(part.sum()))
        reference = Reference(C=inverse, tol=1e-9, max_iter=20_000).fit(values[part], parts["targets"][part])
        ours = fits.weights[fit].numpy()
        np.testing.assert_allclose(ours[1:] - ours[:1] if classes == 2 else ours, reference.coef_, atol=1e-4)
        assert (fits.guesses[fit].numpy() == reference.predict(values)).mean() > 0.99


def test_single_precision_finds_the_same_optimum() -> None:
    parts = problem(300, 60, 3, fits=3, seed=2)
    strengths = torch.full((3,), 1e-2, dtype=torch.float64)
    exact = fit_together(**parts, strengths=strengths, tolerance=1e-9)
    features = parts["features"].float()
    single = fit_together(**{**parts, "features": features, "axes": principal_axes(features)}, strengths=strengths)
    assert single.converged.all()
    assert gradient(single, parts, 0, 1e-2) < 1.1e-5
    torch.testing.assert_close(single.weights, exact.weights, atol=2e-3, rtol=0)


def test_a_fit_does_not_depend_on_the_others() -> None:
    parts = problem(80, 20, 3, fits=6, seed=3)
    strengths = torch.tensor([1.0, 1e-3, 1e-2, 1.0, 0.1, 1e-3], dtype=torch.float64)
    together = fit_together(**parts, strengths=strengths, tolerance=1e-8)
    for fit in range(6):
        alone = {
            "members": parts["members"][fit : fit + 1],
            "moments": tuple(each[fit : fit + 1] for each in parts["moments"]),
        }
        single = fit_together(**{**parts, **alone}, strengths=strengths[fit : fit + 1], tolerance=1e-8)
        torch.testing.assert_close(together.weights[fit], single.weights[0], atol=1e-4, rtol=0)


def test_labels_outside_of_a_fit_mean_nothing_to_it() -> None:
    parts = problem(80, 20, 3, fits=2, seed=4)
    strengths = torch.tensor([0.1, 1e-3], dtype=torch.float64)
    others = ~parts["members"][0]
    changed = torch.where(others, (parts["targets"] + 1) % 3, parts["targets"])
    before = fit_together(**parts, strengths=strengths, tolerance=1e-8)
    after = fit_together(**{**parts, "targets": changed}, strengths=strengths, tolerance=1e-8)
    torch.testing.assert_close(before.weights[0], after.weights[0], atol=1e-5, rtol=0)
    assert (before.weights[1] - after.weights[1]).abs().max() > 1e-2


def test_correlated_features_take_few_steps() -> None:
    parts = problem(400, 100, 3, fits=3, seed=5)
    fits = fit_together(**parts, strengths=torch.full((3,), 1e-2, dtype=torch.float64), tolerance=1e-4)
    assert fits.iterations.max() < 60


def test_stopping_early_is_told() -> None:
    parts = problem(80, 20, 3, fits=2, seed=6)
    strengths = torch.tensor([1e4, 1e-4], dtype=torch.float64)
    fits = fit_together(**parts, strengths=strengths, tolerance=1e-6, iterations=4)
    assert fits.converged.tolist() == [True, False]
    assert fits.iterations[1] == 4


def test_global_randomness_is_left_alone() -> None:
    parts = problem(40, 5, 2, fits=1, seed=7)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_together(**parts | {"axes": principal_axes(parts["features"])}, strengths=torch.ones(1, dtype=torch.float64))
    assert torch.equal(torch.rand(2), expected)
