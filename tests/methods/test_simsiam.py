from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from methods.toy_training import (
    MILD,
    train,
)
from unconfound.functional.prediction import negative_cosine
from unconfound.methods import SimSiam
from unconfound.methods.simsiam import SimSiamOptions
from unconfound.training.alarms import embedding_health


def _method(*, seed=0, **options):
    encoder = convnet(seed=seed)
    torch.manual_seed(seed)
    return SimSiam(encoder, IMAGES, SimSiamOptions(**{"projection_features": 16, "predictor_features": 4} | options))


def _cosines(predictions, targets):
    """Equation 1 of the paper, row by row."""
    pairs = zip(predictions.detach(), targets.detach(), strict=True)
    return -sum(float(first @ second / first.norm() / second.norm()) for first, second in pairs) / len(predictions)


def test_each_view_s_prediction_is_compared_with_the_projection_of_the_other():
    method = _method()
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    projections = other.head(other.encoder(views))
    first, second = projections.chunk(2)
    predicted_first, predicted_second = other.predictor(projections).chunk(2)
    expected = _cosines(predicted_first, second) / 2 + _cosines(predicted_second, first) / 2
    assert compared.loss.item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(compared.projections, projections)


def test_no_gradient_passes_through_what_is_predicted():
    method = _method()
    views = method.two_views(image_batch(6))
    compared = method.compare(views)
    (gradient,) = torch.autograd.grad(compared.loss, compared.projections)
    # Equation 4: the projections are constants where they are targets.
    projections = compared.projections.detach().requires_grad_()
    first, second = method.predictor(projections).chunk(2)
    constants = compared.projections.detach().chunk(2)
    loss = negative_cosine(first, constants[1]) / 2 + negative_cosine(second, constants[0]) / 2
    torch.testing.assert_close(torch.autograd.grad(loss, projections)[0], gradient)
    first, second = method.predictor(projections).chunk(2)
    loss = negative_cosine(first, projections.chunk(2)[1]) / 2 + negative_cosine(second, projections.chunk(2)[0]) / 2
    assert (torch.autograd.grad(loss, projections)[0] - gradient).abs().max() > 1e-3


@pytest.mark.parametrize("layers", [2, 3])
def test_head_and_predictor_are_those_of_the_paper(layers):
    method = _method(projection_layers=layers)
    assert [type(each) for each in method.head] == ([nn.Linear, nn.BatchNorm1d, nn.ReLU] * layers)[:-1]
    assert [each.affine for each in method.head if isinstance(each, nn.BatchNorm1d)] == [True] * (layers - 1) + [False]
    assert [(each.in_features, each.out_features) for each in method.predictor if isinstance(each, nn.Linear)] == [
        (16, 4),
        (4, 16),
    ]
    assert method.predictor[3].bias is not None


def test_equal_embeddings_are_at_the_best_loss_so_that_it_is_no_alarm():
    method = _method()
    method.head[-1] = nn.BatchNorm1d(16)
    for layer in (method.head[-1], method.predictor[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.ones_(layer.bias)
    assert method(image_batch(8)).loss.item() == pytest.approx(-1, abs=1e-6)


def test_it_learns_to_predict_and_embeddings_stay_apart():
    method = _method(**MILD)
    losses = train(method, steps=40)
    assert sum(losses[-5:]) < sum(losses[:5]) - 1
    directions = nn.functional.normalize(method(image_batch(16)).embeddings, dim=1)
    assert directions.std(0).mean() * directions.shape[1] ** 0.5 > 0.05


def test_the_stop_gradient_is_what_keeps_projections_apart():
    ranks = []
    for stopped in (True, False):
        method, batch = _method(**MILD), image_batch(16)
        optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
        for _ in range(60):
            projections = method.head(method.encoder(method.two_views(batch)))
            targets = (projections.detach() if stopped else projections).roll(16, 0)
            loss = negative_cosine(method.predictor(projections), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ranks.append(embedding_health(projections.detach())["effective_rank"])
    assert ranks[1] < 0.75 * ranks[0]
