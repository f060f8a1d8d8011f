from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from two_processes import run

from methods.host_checks import (
    MILD,
    check_as_one,
    check_calls_on_copies,
    check_half_precision,
    check_resumed,
    learnt,
    train,
    two_steps,
)
from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
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


def test_everything_is_learnt_in_one_phase():
    method = _method()
    (phase,) = method.phases()
    assert set(phase.parameters) == set(method.parameters())
    method(image_batch(), phase.name).loss.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in phase.parameters)


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


def test_a_batch_of_one_image_is_refused_and_of_two_is_learnt_from():
    method = _method()
    with pytest.raises(ValueError, match="simsiam normalises over the batch, and this batch holds one image: use at"):
        method(image_batch(1))
    method(image_batch(2)).loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


def test_it_is_saved_and_resumed():
    check_resumed(_method(), _method(seed=9))


def test_half_precision_gives_a_float32_loss():
    check_half_precision(_method())


def test_a_call_on_copies_leaves_no_trace_and_is_differentiated_forwards_and_twice():
    check_calls_on_copies(_method())


def _share():
    return two_steps(_method())


def test_two_processes_are_as_one(tmp_path):
    check_as_one(_share(), *run(_share, tmp_path))


def test_labels_play_no_part():
    method, losses = _method(), []
    for labelled in (True, False):
        torch.manual_seed(1)
        losses.append(copy.deepcopy(method)(image_batch(labelled=labelled)).loss.item())
    assert losses[0] == losses[1]


def test_tables_are_refused():
    with pytest.raises(ValueError, match="simsiam makes its views by image augmentation, the data are tables: train"):
        SimSiam(mlp(), ROWS)


@pytest.mark.parametrize("name", ["projection_features", "projection_layers", "predictor_features"])
def test_options_out_of_range_are_refused_before_anything_is_learnt(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        _method(**{name: 0})
