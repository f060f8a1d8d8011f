from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch.nn import functional as F

from unconfound.functional.proximal_logistic import penalized_logistic_regression


def _data(seed, samples, features, classes):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    true = torch.randn(features, classes, generator=generator, dtype=torch.float64)
    noise = torch.randn(samples, classes, generator=generator, dtype=torch.float64)
    return rows, (rows @ true + noise).argmax(1)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.integers(2, 3), st.sampled_from(["l1", "l2"]), st.floats(0.03, 1.0))
def test_no_other_weights_are_better(seed, classes, penalty, inverse_strength):
    rows, labels = _data(seed, 40, 5, classes)
    weight, bias = penalized_logistic_regression(
        rows, labels, classes=classes, penalty=penalty, inverse_strength=inverse_strength, tolerance=1e-9
    )
    (residual,) = torch.autograd.grad(
        inverse_strength
        * F.cross_entropy(rows @ (w := weight.clone().requires_grad_()).T + bias, labels, reduction="sum"),
        w,
    )
    errors = torch.softmax(rows @ weight.T + bias, 1) - F.one_hot(labels, classes)
    assert errors.sum(0).abs().max() < 1e-5
    # The conditions of an optimum: of l1, the slope is at most 1, and 1 against each weight that is not 0.
    if penalty == "l2":
        torch.testing.assert_close(residual, -weight, rtol=0, atol=1e-5)
    else:
        assert residual.abs().max() <= 1 + 1e-5
        torch.testing.assert_close(residual[weight != 0], -weight[weight != 0].sign(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_general_optimizer_finds_nothing_lower(penalty):
    rows, labels = _data(3, 30, 3, 2)
    found = penalized_logistic_regression(
        rows, labels, classes=2, penalty=penalty, inverse_strength=0.3, tolerance=1e-9
    )

    def objective(flat):
        weight, bias = torch.from_numpy(flat[:6]).view(2, 3), torch.from_numpy(flat[6:])
        losses = F.cross_entropy(rows @ weight.T + bias, labels, reduction="sum")
        return float(0.3 * losses + (weight.abs().sum() if penalty == "l1" else weight.square().sum() / 2))

    best = minimize(
        objective, np.zeros(8), method="Nelder-Mead", options={"maxiter": 20_000, "maxfev": 20_000, "adaptive": True}
    )
    assert objective(torch.cat([found[0].flatten(), found[1]]).numpy()) <= best.fun + 1e-9


def test_strong_l1_leaves_the_bias_alone():
    rows, _ = _data(0, 40, 4, 2)
    labels = (torch.arange(40) < 10).long()
    weight, bias = penalized_logistic_regression(rows, labels, classes=2, penalty="l1", inverse_strength=1e-3)
    assert (weight == 0).all()
    assert torch.softmax(bias, 0)[1].item() == pytest.approx(0.25, abs=1e-3)


def test_a_class_without_samples_is_never_predicted():
    rows, labels = _data(1, 40, 4, 2)
    weight, bias = penalized_logistic_regression(rows, labels, classes=3, penalty="l2", inverse_strength=0.1)
    assert weight.isfinite().all()
    assert set((rows @ weight.T + bias).argmax(1).tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"penalty": "l0"}, "penalty must be l1 or l2, got 'l0'"),
        ({"inverse_strength": 0.0}, "inverse_strength must be above 0, got 0.0"),
    ],
)
def test_options_out_of_range_are_refused(wrong, message):
    rows, labels = _data(2, 6, 2, 2)
    with pytest.raises(ValueError, match=message):
        penalized_logistic_regression(rows, labels, **{"classes": 2, "penalty": "l1", "inverse_strength": 1.0, **wrong})


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="logistic regression needs samples, got none"):
        penalized_logistic_regression(
            torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), classes=2, penalty="l1", inverse_strength=1.0
        )
