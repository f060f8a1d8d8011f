from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch, image_source
from methods.toy_training import MILD, train
from unconfound.data import Dataset
from unconfound.methods import DINO
from unconfound.options.methods.multi_crop import DINOOptions
from unconfound.training import TrainingOptions, fit


def _method(**options):
    torch.manual_seed(0)
    small = {"projection_features": 5, "hidden_features": 12, "prototypes": 9, "local_crops": 3, "local_size": 4}
    return DINO(convnet(), IMAGES, DINOOptions(**small | {"frozen_epochs": 0} | options))


def _scores(network, views):
    encoder, (head, prototypes) = network
    rows = head[:-1](encoder(views)).detach().double()
    directions = prototypes.directions.detach().double()
    return (rows / rows.norm(dim=1, keepdim=True)) @ (directions / directions.norm(dim=1, keepdim=True)).T


def _spread(rows):
    rows = rows / rows.norm(dim=1, keepdim=True)
    apart = torch.cdist(rows, rows) + 10 * torch.eye(len(rows))
    return -apart.min(1).values.log().mean()


@pytest.mark.parametrize("koleo", [0.0, 0.3])
def test_each_view_predicts_what_the_teacher_makes_of_the_other_large_ones(koleo):
    method = _method(koleo_weight=koleo, temperature=0.2, first_target_temperature=0.05)
    train(method, steps=3)  # away from the teacher, with a centre
    sizes = method.all_views(image_batch(6))
    assert method.centre.any()
    centre = method.centre.double()
    student = copy.deepcopy(method)
    embeddings = [student.encoder(size) for size in sizes]
    predicted = torch.cat([_scores((nn.Identity(), method.head), each) for each in embeddings]).unflatten(0, (5, 6))
    teacher = _scores(copy.deepcopy(method.target.network), sizes[0])
    assigned = ((teacher - centre) / 0.05).softmax(1).chunk(2)
    total = 0.0
    for large in range(2):
        for view in range(5):
            if view != large:
                total -= (assigned[large] * (predicted[view] / 0.2).log_softmax(1)).sum(1).mean() / 8
    if koleo:
        total += koleo * sum(_spread(each.detach()) for each in embeddings[0].chunk(2))
    compared = method.compare(*sizes)
    assert compared.loss.item() == pytest.approx(float(total), rel=1e-4)
    torch.testing.assert_close(method.centre.double(), 0.9 * centre + 0.1 * teacher.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(compared.projections.norm(dim=1), torch.ones(12))


def test_sinkhorn_shares_the_large_views_of_a_batch_among_the_prototypes():
    method = _method(centring="sinkhorn", iterations=3)
    scores = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(0)) / 10
    shares = torch.exp(scores.flatten(0, 1).double() / 0.04)
    for _ in range(3):
        shares = shares / shares.sum(0) / 9
        shares = shares / shares.sum(1, keepdim=True) / 12
    torch.testing.assert_close(method._assigned(scores).flatten(0, 1).double(), 12 * shares, rtol=1e-4, atol=1e-6)
    assert not method.centre.any()


def test_the_temperature_rises_by_epochs():
    method, temperatures = _method(temperature_epochs=3), []
    for epoch in range(5):
        method.before_epoch(epoch, image_source())
        temperatures.append(round(float(method._temperature()), 4))
    assert temperatures == [0.04, 0.05, 0.06, 0.07, 0.07]
    assert float(_method(temperature_epochs=0)._temperature()) == pytest.approx(0.07)


def test_prototypes_stand_still_at_first_and_the_rest_learns():
    method = _method(frozen_epochs=1)
    learnt = method.head[0][0].weight
    for epoch, moves in ((0, False), (1, True)):
        method.before_epoch(epoch, image_source())
        method.zero_grad()
        method(image_batch()).loss.backward()
        assert bool(method.prototypes.directions.grad.any()) == moves
        assert learnt.grad.any()
    # A run that goes on within the first epoch knows so without being told again.
    other = _method(frozen_epochs=0)
    method.before_epoch(0, image_source())
    other.load_state_dict(method.state_dict())
    assert bool(other.prototypes.frozen)


def test_the_length_of_prototypes_plays_no_part():
    method = _method()
    views = method.all_views(image_batch())
    loss = copy.deepcopy(method).compare(*views).loss
    with torch.no_grad():
        method.prototypes.directions.mul_(7)
        method.target.network[1][1].directions.mul_(0.1)
    torch.testing.assert_close(method.compare(*views).loss, loss)


def test_half_precision_projections_meet_the_prototypes_in_float32():
    method = _method()
    with torch.autocast("cpu", torch.bfloat16):
        assert method.prototypes(method.head[0](torch.randn(3, method.encoder.features))).dtype == torch.float32


def test_a_student_learns_what_a_teacher_that_stands_still_assigns():
    method = _method(local_crops=0, momentum=1.0, centring="sinkhorn", **MILD)
    losses = train(method, steps=30)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    entropy = method(image_batch(16)).scalars["assignment_entropy"].item()
    assert 0 < entropy <= math.log(9)
    assert losses[-1] > entropy - 0.1


def test_the_loop_tells_it_of_epochs(tmp_path):
    method = _method(temperature_epochs=1, frozen_epochs=1)
    before = nn.functional.normalize(method.prototypes.directions.detach().clone(), dim=1)
    training = TrainingOptions(epochs=1, batch_size=16, device="cpu", precision="32")
    fit(method, Dataset(image_source(), {}), out=tmp_path / "run", training=training)
    torch.testing.assert_close(nn.functional.normalize(method.prototypes.directions.detach(), dim=1), before)
