"""Checks of methods that compare two views, which their tests share."""

from __future__ import annotations

import copy

import torch
from torch import nn

from methods.toy import image_batch
from unconfound.data import Batch
from unconfound.functional.distributed import world
from unconfound.training.batch_norm import synchronize_batch_norm

# Of views that differ little, so that little training tells.
MILD = {"crop_scale": (0.8, 1.0), "flip_probability": 0.0, "jitter_probability": 0.0, "grayscale_probability": 0.0}


def learnt(method):
    return [each for each in method.parameters() if each.requires_grad]


def train(method, *, steps, size=16, rate=0.01, seed=None):
    """Take steps of Adam on one batch, and return the losses."""
    optimizer = torch.optim.Adam(learnt(method), lr=rate)
    losses, batch = [], image_batch(size)
    for step in range(steps):
        method.before_update("train", done=step / steps, learning_rate=rate)
        if seed is not None:
            torch.manual_seed(seed + step)
        loss = method(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_update()
        losses.append(loss.item())
    return losses


def check_resumed(method, other):
    """Another method that takes over the state of a trained one goes on in the same way."""
    train(method, steps=2)
    other.load_state_dict(method.state_dict())
    assert train(method, steps=2, seed=5) == train(other, steps=2, seed=5)
    for pair in zip(method.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(*pair)


def check_half_precision(method):
    views = method.two_views(image_batch(8))
    exact = copy.deepcopy(method).compare(views).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.compare(views).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


def check_calls_on_copies(method):
    """They leave no trace, and are differentiated forwards and twice."""
    method = method.double()
    views = method.two_views(image_batch(4)).double()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    moving = {name: each.detach() for name, each in method.named_parameters() if each.requires_grad}

    def loss(*weights):
        copies = {key: value.clone() for key, value in before.items() if key not in moving}
        given = copies | dict(zip(moving, weights, strict=True))
        given = {f"method.{key}": value for key, value in given.items()}
        return torch.func.functional_call(_Compare(method), given, (views,)).loss

    weights = tuple(moving.values())
    torch.manual_seed(1)
    direction = tuple(torch.randn_like(weight) for weight in weights)
    _, forwards = torch.func.jvp(loss, weights, direction)
    leaves = tuple(weight.clone().requires_grad_() for weight in weights)
    gradients = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    slope = sum((gradient * way).sum() for gradient, way in zip(gradients, direction, strict=True))
    torch.testing.assert_close(forwards, slope.detach())
    second = torch.autograd.grad(slope, leaves, allow_unused=True)
    assert all(each.isfinite().all() for each in second if each is not None)
    assert any(each is not None and each.any() for each in second)
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


class _Compare(nn.Module):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, views):
        return self.method.compare(views)


def two_steps(method):
    """Return losses and gradients of two batches of four images, or of this process's halves of them, and buffers."""
    rank, processes = world()
    method = method.double()
    synchronize_batch_norm(method, torch.device("cpu"))
    torch.manual_seed(3)
    results = []
    for seed in range(2):
        images = image_batch(4, seed=seed).inputs.chunk(processes)[rank]
        views = method.two_views(Batch(images, torch.arange(len(images)))).double()
        loss = method.compare(views).loss
        gradients = torch.cat([each.flatten() for each in torch.autograd.grad(loss, learnt(method))])
        if processes > 1:
            torch.distributed.all_reduce(gradients)
        results += [loss.detach(), gradients / processes]
        method.after_update()
    return results, [each.clone() for each in method.buffers()]


def check_as_one(expected, *others):
    for other in others:
        torch.testing.assert_close(other, expected)
    assert expected[0][1].abs().max() > 1e-3
