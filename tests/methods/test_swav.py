from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
from unconfound.data import Batch
from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.distributed import world
from unconfound.functional.similarity import normalize
from unconfound.methods import SwAV
from unconfound.methods.swav import SwAVOptions
from unconfound.training.batch_norm import synchronize_batch_norm


def _method(**options):
    torch.manual_seed(0)
    return SwAV(convnet(), IMAGES, SwAVOptions(projection_features=5, **options))


def test_each_view_predicts_the_other_s_assignment():
    method = _method(prototypes=3, temperature=0.2, smoothing=0.1, iterations=4)
    with torch.no_grad():
        method.prototypes.mul_(torch.tensor([[0.5], [1.0], [7.0]]))
    views = method.two_views(image_batch(6))
    compared = method.compare(views)
    projections = method.head(method.encoder(views))
    prototypes = method.prototypes / method.prototypes.norm(dim=1, keepdim=True)
    scores = (normalize(projections) @ prototypes.T).chunk(2)
    expected = swapped_prediction(*scores, temperature=0.2, smoothing=0.1, iterations=4)
    torch.testing.assert_close(compared.loss, expected)
    torch.testing.assert_close(compared.projections, projections)


def test_half_precision_projections_are_compared_in_float32():
    method = _method(prototypes=3)
    with torch.autocast("cpu", torch.bfloat16):
        compared = method.compare(method.two_views(image_batch(6)))
    scores = (normalize(compared.projections) @ normalize(method.prototypes).T).chunk(2)
    torch.testing.assert_close(compared.loss, swapped_prediction(*scores))


def test_prototypes_start_as_directions_and_their_length_plays_no_part():
    method = _method(prototypes=12)
    assert method.prototypes.shape == (12, 5)
    torch.testing.assert_close(method.prototypes.norm(dim=1), torch.ones(12))
    views = method.two_views(image_batch(6))
    loss = method.compare(views).loss
    with torch.no_grad():
        method.prototypes.mul_(3)
    torch.testing.assert_close(method.compare(views).loss, loss)


def test_equal_embeddings_have_no_low_loss():
    method = _method(prototypes=4)
    nn.init.zeros_(method.head[-1].weight)
    nn.init.ones_(method.head[-1].bias)
    assert method(image_batch(8)).loss.item() >= math.log(4)


def test_all_that_learns_is_learnt_in_one_phase():
    method = _method()
    (phase,) = method.phases()
    assert set(phase.parameters) == {*method.encoder.parameters(), *method.head.parameters(), method.prototypes}
    method(image_batch(), phase.name).loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in phase.parameters)


def test_it_is_learnt_from_a_toy():
    method, batch = _method(), image_batch(16)
    optimizer = torch.optim.Adam([each for each in method.parameters() if each.requires_grad], lr=0.01)
    losses = []
    for step in range(30):
        method.before_update("train", done=step / 30, learning_rate=0.01)
        loss = method(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_update()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[0 : 0 + 5])


def test_a_batch_of_one_image_is_refused_and_of_two_is_learnt_from():
    method = _method()
    with pytest.raises(
        ValueError, match="spreads the samples of a batch over prototypes, and it holds one: use at least two"
    ):
        method(image_batch(1))
    method(image_batch(2)).loss.backward()


def test_labels_play_no_part():
    method, losses = _method(), []
    for labelled in (True, False):
        torch.manual_seed(1)
        losses.append(copy.deepcopy(method)(image_batch(labelled=labelled)).loss.item())
    assert losses[0] == losses[1]


def test_tables_are_refused():
    with pytest.raises(ValueError, match="swav makes its views by image augmentation, the data are tables: train"):
        SwAV(mlp(), ROWS)


def test_half_precision_gives_a_float32_loss():
    method = _method()
    views = method.two_views(image_batch(8))
    exact = copy.deepcopy(method).compare(views).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.compare(views).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(each.grad.isfinite().all() for each in method.parameters() if each.grad is not None)


def test_a_call_on_copies_leaves_no_trace_and_is_differentiated_forwards_and_twice():
    method = _method().double()
    views = method.two_views(image_batch(4)).double()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    learnt = {name: each.detach() for name, each in method.named_parameters() if each.requires_grad}
    rest = {key: value for key, value in method.state_dict().items() if key not in learnt}

    def loss(*weights):
        copies = {key: value.clone() for key, value in rest.items()}
        compared = torch.func.functional_call(
            _Compare(method),
            {f"method.{key}": value for key, value in {**copies, **dict(zip(learnt, weights, strict=True))}.items()},
            (views,),
        )
        return compared.loss

    weights = tuple(learnt.values())
    torch.manual_seed(1)
    direction = tuple(torch.randn_like(weight) for weight in weights)
    _, forwards = torch.func.jvp(loss, weights, direction)
    leaves = tuple(weight.clone().requires_grad_() for weight in weights)
    gradients = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    slope = sum((gradient * way).sum() for gradient, way in zip(gradients, direction, strict=True))
    torch.testing.assert_close(forwards, slope.detach())
    assert all(
        each.isfinite().all() for each in torch.autograd.grad(slope, leaves, allow_unused=True) if each is not None
    )
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


class _Compare(nn.Module):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, views):
        return self.method.compare(views)


def test_it_is_saved_and_resumed():
    method, other = _method(), SwAV(convnet(seed=9), IMAGES, _method().options)
    for each in (method, method):
        each(image_batch(8)).loss.backward()
        each.after_update()
    other.load_state_dict(method.state_dict())
    for each in (method, other):
        torch.manual_seed(5)
        each.loss = each(image_batch(8)).loss.item()
    assert method.loss == other.loss
    assert all(
        torch.equal(*pair) for pair in zip(method.state_dict().values(), other.state_dict().values(), strict=True)
    )


def _share():
    """Two steps on four images, or on this process's half of them."""
    rank, processes = world()
    method = _method().double()
    synchronize_batch_norm(method, torch.device("cpu"))
    torch.manual_seed(3)
    results = []
    for seed in range(2):
        images = image_batch(4, seed=seed).inputs.chunk(processes)[rank]
        views = method.two_views(Batch(images, torch.arange(len(images)))).double()
        loss = method.compare(views).loss
        learnt = [each for each in method.parameters() if each.requires_grad]
        gradients = torch.cat([each.flatten() for each in torch.autograd.grad(loss, learnt)])
        if processes > 1:
            torch.distributed.all_reduce(gradients)
        results += [loss.detach(), gradients / processes]
        method.after_update()
    return results, [each.clone() for each in method.buffers()]


def test_two_processes_are_as_one(tmp_path):
    results, buffers = _share()
    for other, others in run(_share, tmp_path):
        torch.testing.assert_close(other, results)
        torch.testing.assert_close(others, buffers)
    assert results[1].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"temperature": math.nan}, "temperature must be above 0, got nan"),
        ({"prototypes": 1}, "prototypes must be at least 2, got 1"),
        ({"smoothing": 0.0}, "smoothing must be above 0, got 0.0"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"projection_features": 0}, "projection_features must be at least 1, got 0"),
        ({"projection_layers": 0}, "projection_layers must be at least 1, got 0"),
        ({"crop_scale": (0.5, 0.2)}, "crop_scale"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_learnt(wrong, message):
    with pytest.raises(ValueError, match=message):
        SwAV(convnet(), IMAGES, SwAVOptions(**wrong))
