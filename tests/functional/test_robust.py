from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unconfound.functional.robust import group_losses, irm_penalty, update_group_weights

seeds = st.integers(0, 10**6)


def _drawn(seed, batch, count):
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(batch, generator=generator, dtype=torch.float64)
    return losses, torch.randint(count, (batch,), generator=generator)


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(0, 9), st.integers(1, 5))
def test_losses_are_averaged_in_each_group(seed, batch, count):
    losses, groups = _drawn(seed, batch, count)
    means, samples = group_losses(losses, groups, count=count)
    for group in range(count):
        own = [loss for loss, of in zip(losses.tolist(), groups.tolist(), strict=True) if of == group]
        assert samples[group] == len(own)
        assert means[group].item() == pytest.approx(sum(own) / len(own) if own else 0)


def test_gradients_reach_the_losses():
    losses, groups = _drawn(0, 6, 3)
    assert torch.autograd.gradcheck(lambda given: group_losses(given, groups, count=4)[0], losses.requires_grad_())


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (torch.tensor([0, 1, -1]), ValueError, "must be 0 or above, got -1: leave out the rows without"),
        (torch.tensor([0, 2, 1]), ValueError, "must be 0 to 1, got 2"),
        (torch.tensor([0, 1]), ValueError, r"must have shape \(3,\), one a row, got \(2,\)"),
        (torch.tensor([0.0, 1.0, 1.0]), TypeError, "must be integers, got torch.float32"),
    ],
)
def test_groups_that_are_none_are_refused(groups, error, message):
    with pytest.raises(error, match=message):
        group_losses(torch.zeros(3), groups, count=2)
    with pytest.raises(error, match=message):
        irm_penalty(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), groups, count=2)


def test_the_known_answer_of_group_dro():
    uniform, losses = torch.full((4,), 0.25), torch.tensor([1.0, 0, 0, 0])
    moved = update_group_weights(uniform, losses, step_size=0.01)
    assert moved.tolist() == pytest.approx([0.25188, 0.24937, 0.24937, 0.24937], abs=1e-5)
    assert uniform.tolist() == [0.25] * 4
    torch.testing.assert_close(update_group_weights(uniform, losses, step_size=0.0), uniform)


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 6), st.floats(0, 3), st.booleans())
def test_weights_follow_the_exponentials_of_losses(seed, count, step_size, adjusted):
    losses, _ = _drawn(seed, count, 1)
    weights = torch.rand(count, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64) + 0.1
    counts = [10.0 + group for group in range(count)]
    adjustment = torch.tensor([2 / math.sqrt(samples) for samples in counts]) if adjusted else None
    grown = [
        weight * math.exp(step_size * (loss + (2 / math.sqrt(samples) if adjusted else 0)))
        for weight, loss, samples in zip(weights.tolist(), losses.tolist(), counts, strict=True)
    ]
    moved = update_group_weights(weights, losses, step_size=step_size, adjustment=adjustment)
    assert moved.tolist() == pytest.approx([each / sum(grown) for each in grown], rel=1e-6)
    order = torch.randperm(count)
    again = update_group_weights(
        weights[order], losses[order], step_size=step_size, adjustment=None if adjustment is None else adjustment[order]
    )
    torch.testing.assert_close(again, moved[order])


def test_a_weight_of_0_stays_0_and_losses_may_be_huge():
    moved = update_group_weights(torch.tensor([0.0, 0.5, 0.5]), torch.tensor([1e6, 1e5, 1e4]), step_size=1.0)
    assert moved.tolist() == [0, 1, 0]
    assert update_group_weights(torch.ones(2), torch.tensor([math.nan, 0.0]), step_size=1.0).isnan().all()


@pytest.mark.parametrize("step_size", [-0.1, math.nan, math.inf])
def test_step_sizes_out_of_range_are_refused(step_size):
    with pytest.raises(ValueError, match="step_size must be a finite number of at least 0, got"):
        update_group_weights(torch.ones(2), torch.ones(2), step_size=step_size)


def test_losses_of_other_groups_are_refused():
    with pytest.raises(ValueError, match=r"losses must be one a group as the weights, got shapes \(3,\) and \(2,\)"):
        update_group_weights(torch.ones(2), torch.ones(3), step_size=0.1)
    with pytest.raises(ValueError, match="adjustment must be one a group"):
        update_group_weights(torch.ones(2), torch.ones(2), step_size=0.1, adjustment=torch.ones(1))


def _logits(seed, batch, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (batch,), generator=generator)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 8), st.integers(2, 4), st.integers(1, 3))
def test_the_penalty_is_the_squared_derivative_by_a_scale_in_each_environment(seed, batch, classes, count):
    logits, labels = _logits(seed, batch, classes)
    environments = _drawn(seed, batch, count)[1]
    found = irm_penalty(logits, labels, environments, count=count)
    for environment in range(count):
        own = environments == environment
        expected = 0.0
        if own.any():
            scale = torch.ones((), dtype=torch.float64, requires_grad=True)
            (slope,) = torch.autograd.grad(F.cross_entropy(scale * logits[own], labels[own]), scale)
            expected = slope.item() ** 2
        assert found[environment].item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_known_answers_of_the_penalty():
    labels, one = torch.tensor([0, 1]), torch.zeros(2, dtype=torch.long)
    # Logits of 0 have no scale; opposite logits of (a, -a): the slope is -2a(1 - sigmoid(2a)).
    assert irm_penalty(torch.zeros(2, 2), labels, one, count=1).item() == 0
    a = 0.75
    logits = torch.tensor([[a, -a], [-a, a]])
    wanted = (2 * a * (1 - 1 / (1 + math.exp(-2 * a)))) ** 2
    assert irm_penalty(logits, labels, one, count=1).item() == pytest.approx(wanted, rel=1e-6)
    # A shift of all logits of a sample changes nothing.
    torch.testing.assert_close(irm_penalty(logits + 5, labels, one, count=1).item(), wanted, rtol=1e-5, atol=0)


def test_gradients_of_the_penalty():
    logits, labels = _logits(4, 6, 3)
    environments = torch.tensor([0, 1, 0, 1, 3, 0])
    assert torch.autograd.gradcheck(
        lambda given: irm_penalty(given, labels, environments, count=4), logits.requires_grad_()
    )


def test_half_precision_and_autocast_are_taken_in_float32():
    logits, labels = _logits(5, 6, 3)
    environments = torch.arange(6) % 2
    expected = irm_penalty(logits.float(), labels, environments, count=2)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(irm_penalty(logits.float(), labels, environments, count=2), expected)
    half = irm_penalty(logits.half(), labels, environments, count=2)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=2e-2, atol=2e-2)


def test_logits_without_labels_are_refused():
    with pytest.raises(ValueError, match=r"labels \[batch\], got shapes \(3, 2\) and \(2,\)"):
        irm_penalty(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long), torch.zeros(3, dtype=torch.long), count=1)
