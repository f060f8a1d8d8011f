from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.relation import relic
from unconfound.methods import RELIC
from unconfound.methods.relic import RELICOptions


def _method(**options):
    torch.manual_seed(0)
    return RELIC(convnet(), IMAGES, RELICOptions(projection_features=5, **options))


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_each_view_is_compared_with_the_target_s_other_one(weight):
    method = _method(temperature=0.3, invariance_weight=weight)
    with torch.no_grad():
        for each in method.target.parameters():
            each.add_(0.1 * torch.randn_like(each))
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    projections, targets = other.head(other.encoder(views)), other.target(views)
    expected = relic(*projections.chunk(2), *targets.chunk(2), temperature=0.3, weight=weight)
    torch.testing.assert_close(compared.loss, expected)
    torch.testing.assert_close(compared.projections, projections)


def test_equal_embeddings_give_the_logarithm_of_the_batch():
    method = _method()
    for norm in (method.head[-1], method.target.network[-1][-1]):
        nn.init.zeros_(norm.weight)
        nn.init.ones_(norm.bias)
    assert method(image_batch(8)).loss.item() == pytest.approx(math.log(8))
