from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from two_processes import run

from unconfound.functional.contrastive import nt_xent
from unconfound.functional.distributed import gather, world
from unconfound.functional.invariance import (
    scale_gradient,
    softmax_sample_scale_gradients,
    softmax_scale_gradient,
)

seeds = st.integers(0, 10**6)
STEP = 1e-5


def _derivative(loss):
    """By central differences, at 1."""
    return (loss(1 + STEP) - loss(1 - STEP)) / (2 * STEP)


def _drawn(seed, batch=5, classes=4, environments=2, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (batch,), generator=generator)
    return logits, labels, torch.rand(batch, environments, generator=generator, dtype=torch.float64)


def _cross_entropy(scores, label):
    return math.log(sum(math.exp(score) for score in scores)) - scores[label]


def _risk(loss, logits, labels, weights, scales):
    """The weighted mean loss of one environment, the logits of each class times that class's scale."""
    total = 0.0
    for row, label, weight in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        total += weight * loss([scale * score for scale, score in zip(scales, row, strict=True)], label)
    return total / sum(weights.tolist())


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 6), st.integers(2, 5))
def test_the_derivative_by_a_scale_of_the_scores(seed, batch, classes):
    environments = 1 + seed % 3
    logits, labels, weights = _drawn(seed, batch, classes, environments)
    found = softmax_scale_gradient(logits, labels, weights)
    assert found.shape == (environments,)
    for j in range(environments):
        expected = _derivative(lambda c, j=j: _risk(_cross_entropy, logits, labels, weights[:, j], [c] * classes))
        assert found[j].item() == pytest.approx(expected, abs=1e-8)
        assert softmax_scale_gradient(logits, labels, weights[:, j]).item() == pytest.approx(expected, abs=1e-8)
    equal = softmax_scale_gradient(logits, labels, torch.ones(batch, dtype=torch.float64))
    torch.testing.assert_close(softmax_scale_gradient(logits, labels), equal)
    torch.testing.assert_close(softmax_scale_gradient(logits, labels, 7 * weights), found)


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_a_scale_for_each_class(seed, batch, classes, environments):
    logits, labels, weights = _drawn(seed, batch, classes, environments)
    found = softmax_scale_gradient(logits, labels, weights, per_class=True)
    assert found.shape == (environments, classes)
    for j in range(environments):
        for k in range(classes):

            def moved(c, j=j, k=k):
                scales = [c if own == k else 1.0 for own in range(classes)]
                return _risk(_cross_entropy, logits, labels, weights[:, j], scales)

            assert found[j, k].item() == pytest.approx(_derivative(moved), abs=1e-8)
    torch.testing.assert_close(found.sum(1), softmax_scale_gradient(logits, labels, weights))
    torch.testing.assert_close(softmax_scale_gradient(logits, labels, weights[:, 0], per_class=True), found[0])
    assert softmax_scale_gradient(logits, labels, per_class=True).shape == (classes,)


@pytest.mark.parametrize("per_class", [False, True])
def test_one_backward_pass_gives_what_two_give(per_class):
    logits, labels, weights = _drawn(0)
    logits.requires_grad_()
    weights.requires_grad_()
    closed = softmax_scale_gradient(logits, labels, weights, per_class=per_class).square().sum()
    twice = 0.0
    for j in range(2):
        scale = torch.ones(4 if per_class else 1, dtype=torch.float64, requires_grad=True)
        losses = F.cross_entropy(scale * logits, labels, reduction="none")
        risk = (losses * weights[:, j]).sum() / weights[:, j].sum()
        twice = twice + torch.autograd.grad(risk, scale, create_graph=True)[0].square().sum()
    torch.testing.assert_close(closed, twice)
    for ours, theirs in zip(
        torch.autograd.grad(closed, [logits, weights]), torch.autograd.grad(twice, [logits, weights]), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_derivatives_of_the_slope_are_those_of_the_specification():
    logits, labels, _ = _drawn(1)
    logits.requires_grad_()
    slopes = softmax_sample_scale_gradients(logits, labels)
    (found,) = torch.autograd.grad(slopes.sum(), logits)
    p = torch.softmax(logits, 1)
    mean = (p * logits).sum(1, keepdim=True)
    torch.testing.assert_close(found, p * (1 + logits - mean) - F.one_hot(labels, 4))
    # The second derivative by the scale is the variance of the logits under p.
    second = scale_gradient(
        lambda scores: scale_gradient(lambda own: F.cross_entropy(own, labels, reduction="none"), scores), logits
    )
    # d/dc [c dL/dc] = dL/dc + d2L/dc2 at c = 1.
    torch.testing.assert_close(second - slopes, (p * (logits - mean).square()).sum(1))
    assert (p * (logits - mean).square()).sum(1).min() >= 0


def test_equal_logits_and_sure_samples_have_no_slope():
    labels = torch.tensor([0, 2])
    assert softmax_sample_scale_gradients(torch.full((2, 3), 5.0), labels).abs().max() == 0
    slopes = [
        float(softmax_sample_scale_gradients(torch.tensor([[0.0, own, 1.0]]), torch.tensor([1])))
        for own in (4.0, 10.0, 30.0, 200.0)
    ]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0
    assert -1e-10 < slopes[2] < 0
    assert slopes[3] <= 0


def test_a_scale_on_both_sides_doubles_and_one_before_the_normalisation_is_useless():
    logits, labels, _ = _drawn(2)
    once = scale_gradient(lambda scores: F.cross_entropy(scores, labels), logits)
    one = torch.ones((), dtype=torch.float64)
    both = scale_gradient(lambda scale: F.cross_entropy(scale * logits * scale, labels), one)
    torch.testing.assert_close(both, 2 * once)
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = scale_gradient(lambda scores: nt_xent(scores[:3], scores[3:]), rows)
    assert before.abs() < 1e-12


def test_where_the_scale_sits_in_losses_of_cosines():
    cosines, labels, _ = _drawn(3, spread=0.3)
    scale, margin, hot = 16.0, 0.3, F.one_hot(labels, 4)
    # On cosines alone, CosFace's margin does not move.
    p = torch.softmax(scale * (cosines - margin * hot), 1)
    expected = ((p - hot) * scale * cosines).sum(1)
    found = scale_gradient(lambda own: F.cross_entropy(scale * (own - margin * hot), labels, reduction="none"), cosines)
    torch.testing.assert_close(found, expected)
    # ArcFace's own class moves by cos(t) sin(t + m) / sin(t).
    angles = cosines.acos()
    p = torch.softmax(scale * torch.where(hot > 0, (angles + margin).cos(), cosines), 1)
    moving = torch.where(hot > 0, cosines * (angles + margin).sin() / angles.sin(), cosines)
    found = scale_gradient(
        lambda own: F.cross_entropy(
            scale * torch.where(hot > 0, (own.acos() + margin).cos(), own), labels, reduction="none"
        ),
        cosines,
    )
    torch.testing.assert_close(found, ((p - hot) * scale * moving).sum(1))


def test_the_general_route_agrees_and_takes_one_backward_pass():
    logits, labels, weights = _drawn(4)
    closed_input, general_input = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    closed = softmax_scale_gradient(closed_input, labels, weights[:, 0])
    general = scale_gradient(
        lambda scores: F.cross_entropy(scores, labels, reduction="none") @ weights[:, 0] / weights[:, 0].sum(),
        general_input,
    )
    torch.testing.assert_close(closed, general)
    closed.square().backward()
    general.square().backward()
    torch.testing.assert_close(closed_input.grad, general_input.grad)
    # What the loss holds beside the scores is reached as well.
    own = weights.requires_grad_()
    scale_gradient(lambda scores: F.cross_entropy(scores, labels, reduction="none") @ own[:, 0], logits).backward()
    torch.testing.assert_close(own.grad[:, 0], softmax_sample_scale_gradients(logits, labels))


def test_gradients_of_all():
    logits, labels, weights = _drawn(5)
    inputs = (logits.requires_grad_(), weights.requires_grad_())
    for per_class in (False, True):
        assert torch.autograd.gradcheck(
            lambda own, by: softmax_scale_gradient(own, labels, by, per_class=per_class),  # noqa: B023
            inputs,
        )
    assert torch.autograd.gradgradcheck(lambda own: softmax_scale_gradient(own, labels), logits)


def test_half_precision_large_logits_and_autocast():
    logits, labels, weights = (own.float() if own.is_floating_point() else own for own in _drawn(6, spread=50.0))
    exact = softmax_scale_gradient(logits.double(), labels, weights.double()).float()
    torch.testing.assert_close(softmax_scale_gradient(logits, labels, weights), exact)
    # A number that half precision holds gives the same in it.
    for dtype in (torch.bfloat16, torch.float16):
        rounded = logits.to(dtype)
        found = softmax_scale_gradient(rounded, labels, weights)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, softmax_scale_gradient(rounded.float(), labels, weights))
        slopes = scale_gradient(lambda scores: F.cross_entropy(scores, labels, reduction="none"), rounded)
        torch.testing.assert_close(slopes, softmax_sample_scale_gradients(rounded, labels), atol=1e-4, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(softmax_scale_gradient(logits, labels, weights), exact)
    assert softmax_scale_gradient(torch.full_like(logits, 3e4).half(), labels, weights).abs().max() == 0
    assert softmax_scale_gradient(torch.full_like(logits, math.nan), labels).isnan()


def test_an_environment_without_weight_has_none():
    logits, labels, weights = _drawn(7)
    weights[:, 1] = 0
    logits.requires_grad_()
    weights.requires_grad_()
    found = softmax_scale_gradient(logits, labels, weights)
    assert found[1] == 0
    found.square().sum().backward()
    assert logits.grad.isfinite().all()
    assert weights.grad.isfinite().all()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": torch.zeros(3)}, ValueError, r"logits must be \[batch, classes\] and labels \[batch\], got shapes"),
        ({"labels": torch.zeros(2, dtype=torch.long)}, ValueError, r"got shapes \(3, 2\) and \(2,\)"),
        ({"labels": torch.tensor([0, 1, 2])}, ValueError, "labels must be 0 to 1, got 2"),
        ({"labels": torch.tensor([0, -1, 1])}, ValueError, "labels must be 0 or above, got -1"),
        ({"labels": torch.zeros(3)}, TypeError, "labels must be integers, got torch.float32"),
        ({"logits": torch.zeros(3, 2, dtype=torch.long)}, TypeError, "logits must be floating-point"),
        (
            {"weights": torch.ones(2, 1)},
            ValueError,
            r"weights must be \[3\] or \[3, environments\], got shape \(2, 1\)",
        ),
        ({"weights": torch.ones(3, 1, dtype=torch.long)}, TypeError, "weights must be floating-point"),
        (
            {"logits": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.long), "weights": None},
            ValueError,
            "logits must hold at least one row",
        ),
    ],
)
def test_mistakes_are_named(change, error, message):
    given = {
        "logits": torch.zeros(3, 2),
        "labels": torch.zeros(3, dtype=torch.long),
        "weights": torch.ones(3, 2),
        **change,
    }
    with pytest.raises(error, match=message):
        softmax_scale_gradient(given["logits"], given["labels"], given["weights"])


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_general_route_takes_floating_point_scores():
    with pytest.raises(TypeError, match="scores must be floating-point"):
        scale_gradient(torch.sum, torch.ones(2, dtype=torch.long))


def _penalty(logits, labels, weights):
    return softmax_scale_gradient(gather(logits), gather(labels), gather(weights), per_class=True).square().sum()


def _own_half():
    rank, processes = world()
    logits, labels, weights = _drawn(8, batch=6)
    rows = slice(rank * 6 // processes, (rank + 1) * 6 // processes)
    scale = torch.ones(4, dtype=torch.float64, requires_grad=True)
    loss = _penalty(logits[rows] * scale, labels[rows], weights[rows])
    loss.backward()
    return loss.detach(), scale.grad


def test_two_processes_give_the_penalty_and_the_gradient_of_one(tmp_path):
    loss, gradient = _own_half()
    ranks = run(_own_half, tmp_path)
    for own, _ in ranks:
        torch.testing.assert_close(own, loss)
    torch.testing.assert_close((ranks[0][1] + ranks[1][1]) / 2, gradient)
