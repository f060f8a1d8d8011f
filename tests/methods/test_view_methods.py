"""What the methods share that compare two views with a target, a queue, a predictor or prototypes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
from methods.toy_training import learnt, train
from unconfound.data import Batch
from unconfound.functional.distributed import world
from unconfound.methods import METHODS
from unconfound.training.batch_norm import synchronize_batch_norm

# Form -> method, small options, and why a batch of one image is too few.
FORMS = {
    "byol": ("byol", {"projection_features": 5, "hidden_features": 12}, "byol normalises over the batch"),
    "simsiam": ("simsiam", {"projection_features": 16, "predictor_features": 4}, "simsiam normalises over the batch"),
    "moco": ("moco", {"projection_features": 5, "queue": 9}, "normalises over the batch"),
    "moco, symmetric": (
        "moco",
        {"projection_features": 5, "predictor_features": 12, "symmetric": True},
        "normalises over the batch",
    ),
    "relic": ("relic", {"projection_features": 5}, "tells the samples of a batch apart"),
    "ressl": ("ressl", {"projection_features": 5}, "normalises over the batch"),
    "ssl-hsic": ("ssl-hsic", {"projection_features": 5}, "tells the images of a batch apart"),
    "swav": ("swav", {"projection_features": 5}, "spreads the samples of a batch over prototypes"),
}
each_form = pytest.mark.parametrize("form", FORMS)


def _method(form, *, seed=0):
    name, options, _ = FORMS[form]
    encoder = convnet(seed=seed)
    torch.manual_seed(seed)
    return METHODS[name](encoder, IMAGES, METHODS[name].Options(**options))


@each_form
def test_all_but_the_target_is_learnt_in_one_phase(form):
    method = _method(form)
    (phase,) = method.phases()
    followed = set(method.target.parameters()) if hasattr(method, "target") else set()
    assert set(phase.parameters) == set(learnt(method)) == set(method.parameters()) - followed
    method(image_batch(), phase.name).loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in phase.parameters)


@each_form
def test_it_is_saved_and_resumed(form):
    method, other = _method(form), _method(form, seed=9)
    train(method, steps=2)
    other.load_state_dict(method.state_dict())
    assert train(method, steps=2, seed=5) == train(other, steps=2, seed=5)
    for pair in zip(method.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(*pair)


@each_form
def test_half_precision_gives_a_float32_loss(form):
    method = _method(form)
    views = method.two_views(image_batch(8))
    exact = copy.deepcopy(method).compare(views).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.compare(views).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


@each_form
def test_a_call_on_copies_leaves_no_trace_and_is_differentiated_forwards_and_twice(form):
    method = _method(form).double()
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


def _two_steps(form):
    """Losses and gradients of two batches of four images, or of this process's halves of them, and buffers."""
    rank, processes = world()
    method = _method(form).double()
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


def _share():
    return {form: _two_steps(form) for form in FORMS}


def test_two_processes_are_as_one(tmp_path):
    alone = _share()
    for shared in run(_share, tmp_path):
        for form, (results, buffers) in alone.items():
            assert results[1].abs().max() > 1e-3
            torch.testing.assert_close(shared[form], (results, buffers), msg=lambda told, form=form: f"{form}: {told}")


@each_form
def test_labels_play_no_part(form):
    method, losses = _method(form), []
    for labelled in (True, False):
        torch.manual_seed(1)
        losses.append(copy.deepcopy(method)(image_batch(labelled=labelled)).loss.item())
    assert losses[0] == losses[1]


@each_form
def test_a_batch_of_one_image_is_refused_and_of_two_is_learnt_from(form):
    method = _method(form)
    with pytest.raises(ValueError, match=f"{FORMS[form][2]}.*use at least two"):
        method(image_batch(1))
    method(image_batch(2)).loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


@each_form
def test_tables_are_refused(form):
    name = FORMS[form][0]
    with pytest.raises(ValueError, match=f"{name} makes its views by image augmentation, the data are tables: train"):
        METHODS[name](mlp(), ROWS)
