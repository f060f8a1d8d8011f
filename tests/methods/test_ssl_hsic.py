from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.dependence import ssl_hsic
from unconfound.methods import SSLHSIC
from unconfound.methods.ssl_hsic import SSLHSICOptions


def _method(**options):
    torch.manual_seed(0)
    return SSLHSIC(convnet(), IMAGES, SSLHSICOptions(projection_features=5, **options))


@pytest.mark.parametrize("unbiased", [True, False])
def test_four_views_of_each_image_are_compared(unbiased):
    method = _method(kernel="gaussian", kernel_scale=0.6, variance_weight=2.0, unbiased=unbiased)
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    projections = other.head(other.encoder(views))
    hidden = torch.cat([other.predictor(projections), other.target(views)])
    expected = ssl_hsic(hidden.view(4, 6, 5), kernel="gaussian", scale=0.6, weight=2.0, unbiased=unbiased)
    torch.testing.assert_close(compared.loss, expected)
    torch.testing.assert_close(compared.projections, projections)


def test_equal_embeddings_have_a_loss_of_0_and_no_gradient():
    method = _method()
    for last in (method.predictor[-1], method.target.network[-1][-1]):
        nn.init.zeros_(last.weight)
        nn.init.ones_(last.bias)
    loss = method(image_batch(8)).loss
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert method.predictor[-1].weight.grad.abs().max() < 1e-5
