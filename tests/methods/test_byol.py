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
from unconfound.methods import BYOL
from unconfound.methods.byol import BYOLOptions


def _method(*, seed=0, **options):
    encoder = convnet(seed=seed)
    torch.manual_seed(seed)
    return BYOL(encoder, IMAGES, BYOLOptions(**{"projection_features": 5, "hidden_features": 12} | options))


def _squared_distances(predictions, targets):
    """Equation 2 of the paper, row by row."""
    total = 0.0
    for prediction, target in zip(predictions.detach(), targets.detach(), strict=True):
        total += float((prediction / prediction.norm() - target / target.norm()).square().sum())
    return total / len(predictions)


def test_each_view_s_prediction_is_compared_with_the_target_s_projection_of_the_other():
    method = _method()
    train(method, steps=3)  # away from the target
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    projections = other.head(other.encoder(views))
    first, second = other.predictor(projections).chunk(2)
    first_target, second_target = other.target(views).chunk(2)
    expected = _squared_distances(first, second_target) + _squared_distances(second, first_target)
    assert compared.loss.item() == pytest.approx(expected, rel=1e-4)
    assert 0 < expected < 8
    torch.testing.assert_close(compared.projections, projections)


def test_head_and_predictor_are_of_one_form_and_the_target_has_no_predictor():
    method = _method()
    for module, features in ((method.head, method.encoder.features), (method.predictor, 5)):
        assert [type(each) for each in module] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
        assert (module[0].in_features, module[0].out_features, module[3].out_features) == (features, 12, 5)
    followed = [*method.encoder.parameters(), *method.head.parameters()]
    assert all(torch.equal(*pair) for pair in zip(followed, method.target.parameters(), strict=True))


def test_equal_embeddings_are_at_the_best_loss_so_that_it_is_no_alarm():
    method = _method()
    for linear in (method.head[3], method.target.network[1][3], method.predictor[3]):
        nn.init.zeros_(linear.weight)
        nn.init.ones_(linear.bias)
    assert method(image_batch(8)).loss.item() == pytest.approx(0, abs=1e-5)


def test_it_learns_to_predict_and_embeddings_stay_apart():
    method = _method(**MILD)
    losses = train(method, steps=40)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    directions = nn.functional.normalize(method(image_batch(16)).embeddings, dim=1)
    assert directions.std(0).mean() * directions.shape[1] ** 0.5 > 0.05
