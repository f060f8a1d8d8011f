from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from methods.toy_training import (
    MILD,
    train,
)
from unconfound.functional.similarity import normalize
from unconfound.methods import MoCo
from unconfound.methods.moco import MoCoOptions

each_form = pytest.mark.parametrize("symmetric", [False, True], ids=["queue", "symmetric"])


def _method(*, seed=0, **options):
    encoder = convnet(seed=seed)
    torch.manual_seed(seed)
    small = {"projection_features": 5, "queue": 9, "predictor_features": 12}
    return MoCo(encoder, IMAGES, MoCoOptions(**small | options))


def _info_nce(query, key, negatives, temperature):
    """-log of the share of the positive, in Python's floats."""

    def score(row):
        return math.exp(float(query @ row / query.norm() / row.norm()) / temperature)

    return -math.log(score(key) / (score(key) + sum(map(score, negatives))))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_a_query_finds_its_key_among_those_of_the_queue(temperature):
    method = _method(temperature=temperature)
    train(method, steps=2)
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    first, second = views.chunk(2)
    queries, keys, queue = other.head(other.encoder(first)), other.target(second), other.queue.rows()
    losses = [_info_nce(*pair, queue, temperature) for pair in zip(queries.detach(), keys.detach(), strict=True)]
    assert compared.loss.item() == pytest.approx(sum(losses) / 6, rel=1e-4)
    torch.testing.assert_close(compared.projections[:6], queries)
    torch.testing.assert_close(compared.embeddings[6:], other.encoder(second))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_symmetric_form_takes_negatives_from_the_batch_in_both_directions(temperature):
    method = _method(symmetric=True, temperature=temperature)
    train(method, steps=2)
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    projections = other.head(other.encoder(views))
    queries, keys = other.predictor(projections).detach(), other.target(views).detach()
    total = 0.0
    for own, others in ((range(6), range(6, 12)), (range(6, 12), range(6))):
        for at, positive in zip(own, others, strict=True):
            negatives = [keys[each] for each in others if each != positive]
            total += _info_nce(queries[at], keys[positive], negatives, temperature) / 6
    assert compared.loss.item() == pytest.approx(2 * temperature * total, rel=1e-4)
    torch.testing.assert_close(compared.projections, projections)


def test_the_queue_holds_the_latest_keys_and_wraps_around():
    method, keys = _method(), []
    for seed in range(3):
        views = method.two_views(image_batch(4, seed=seed))
        keys.append(normalize(copy.deepcopy(method.target)(views[4:])))
        method.compare(views)
    # Twelve keys in a queue of nine: the last three stand first.
    torch.testing.assert_close(method.queue.rows(), torch.cat(keys)[-9:].roll(3, 0))
    assert method.queue.pointer == 3


def test_a_batch_does_not_find_its_own_keys_in_the_queue():
    method = _method()
    other, views = copy.deepcopy(method), method.two_views(image_batch(4))
    losses = [method.compare(views).loss.item() for _ in range(2)]
    # The second time the queue holds the batch's own keys, as negatives that are hard to tell from the positives.
    assert losses[1] > losses[0]
    assert other.compare(views).loss.item() == losses[0]


def test_no_gradient_of_the_loss_passes_through_the_keys():
    method = _method()
    views = method.two_views(image_batch()).requires_grad_()
    (gradient,) = torch.autograd.grad(method.compare(views).loss, views)
    assert gradient[:6].any()
    assert not gradient[6:].any()


def test_the_parts_of_the_two_forms():
    queue, symmetric = _method(), _method(symmetric=True)
    assert [type(each) for each in queue.head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert not hasattr(queue, "predictor")
    assert not hasattr(symmetric, "queue")
    for part in (symmetric.head, symmetric.predictor):
        assert [type(each) for each in part] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
        assert not part[-1].affine
    assert symmetric.predictor[0].out_features == 12


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.999),
        ({"momentum": 0.9}, 0.9),
        ({"symmetric": True}, 0.995),
        ({"symmetric": True, "momentum": 0.9}, 0.95),
        ({"momentum": 0.0}, 0.0),
    ],
)
def test_momentum_is_constant_and_rises_where_symmetric(options, expected):
    method = _method(**options)
    followed = [*method.encoder.parameters(), *method.head.parameters()]
    with torch.no_grad():
        for weight in followed:
            weight.add_(1)
    method.before_update("train", done=0.5, learning_rate=0.1)
    method.after_update()
    for weight, target in zip(followed, method.target.parameters(), strict=True):
        torch.testing.assert_close(weight - target, torch.full_like(weight, expected), rtol=0, atol=1e-5)


@each_form
def test_the_loss_of_equal_embeddings_tells_of_them(symmetric):
    method = _method(symmetric=symmetric, queue=8)
    for part in (method.head, method.target.network[1], *([method.predictor] if symmetric else [])):
        linear = [each for each in part if isinstance(each, nn.Linear)][-1]
        nn.init.zeros_(linear.weight)
        if linear.bias is not None:
            nn.init.ones_(linear.bias)
    images = image_batch(8)
    method(images)
    assert method(images).loss.item() == pytest.approx(4 * 0.2 * math.log(8) if symmetric else math.log(9), rel=1e-5)


@each_form
def test_it_is_learnt_from_a_toy(symmetric):
    method = _method(symmetric=symmetric, momentum=0.9, queue=32, **MILD)
    losses = train(method, steps=40)
    # From the third step on the queue holds keys alone.
    assert sum(losses[-5:]) < 0.9 * sum(losses[3:8])
