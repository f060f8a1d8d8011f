from __future__ import annotations

import math

import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.similarity import normalize
from unconfound.methods import SwAV
from unconfound.methods.swav import SwAVOptions


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
