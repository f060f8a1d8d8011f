from __future__ import annotations

import pytest
import torch

from unconfound.training.lars import LARS


def _naive(weight, gradients, *, rate, momentum, decay, coefficient, adapt):
    """The published update on plain lists of numbers."""
    weight = weight.flatten().tolist()
    velocity = [0.0] * len(weight)
    for gradient in gradients:
        change = [g + decay * w for g, w in zip(gradient.flatten().tolist(), weight, strict=True)]
        size, pull = sum(w * w for w in weight) ** 0.5, sum(c * c for c in change) ** 0.5
        trust = coefficient * size / pull if adapt and size > 0 and pull > 0 else 1.0
        velocity = [momentum * v + rate * trust * c for v, c in zip(velocity, change, strict=True)]
        weight = [w - v for w, v in zip(weight, velocity, strict=True)]
    return torch.tensor(weight, dtype=torch.float64)


def _stepped(weight, gradients, *, adapt, **options):
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = LARS([{"params": [parameter], "adapt": adapt}], **options)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("adapt", [True, False])
def test_it_equals_a_naive_loop(adapt):
    generator = torch.Generator().manual_seed(0)
    weight, *gradients = torch.randn(6, 3, 4, generator=generator, dtype=torch.float64)
    found = _stepped(weight, gradients, adapt=adapt, lr=0.3, momentum=0.8, weight_decay=0.05, trust_coefficient=0.02)
    expected = _naive(weight, gradients, rate=0.3, momentum=0.8, decay=0.05, coefficient=0.02, adapt=adapt)
    torch.testing.assert_close(found.flatten(), expected, rtol=0, atol=1e-14)


def test_a_first_step_by_hand():
    # |weight| = 5, |gradient| = 10: the trust is 0.001 x 5 / 10 and the step 2 x 0.0005 x gradient.
    found = _stepped(torch.tensor([[3.0, 4.0]]), [torch.tensor([[6.0, 8.0]])], adapt=True, lr=2.0)
    torch.testing.assert_close(found, torch.tensor([[3 - 0.006, 4 - 0.008]]))


def test_the_step_does_not_depend_on_the_scale_of_the_gradient():
    weight, gradient = torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    small = _stepped(weight, [gradient], adapt=True, lr=0.1)
    large = _stepped(weight, [gradient * 1e6], adapt=True, lr=0.1)
    torch.testing.assert_close(small, large, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("weight", "gradient"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_a_norm_of_zero_means_a_trust_of_one(weight, gradient):
    found = _stepped(torch.full((2, 2), weight), [torch.full((2, 2), gradient)], adapt=True, lr=0.1)
    torch.testing.assert_close(found, torch.full((2, 2), weight - 0.1 * gradient))


def test_parameters_without_gradient_stay_and_closures_are_refused():
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([parameter], lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(parameter.detach(), torch.ones(2, 2))
    with pytest.raises(ValueError, match="takes no closure"):
        optimizer.step(lambda: 0.0)


def test_its_state_makes_the_round_trip():
    weight, *gradients = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(2))
    whole = _stepped(weight, gradients, adapt=True, lr=0.3)
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = LARS([parameter], lr=0.3)
    for number, gradient in enumerate(gradients):
        if number == 2:
            state = optimizer.state_dict()
            optimizer = LARS([parameter], lr=9.0)
            optimizer.load_state_dict(state)
        parameter.grad = gradient.clone()
        optimizer.step()
    assert torch.equal(parameter.detach(), whole)
