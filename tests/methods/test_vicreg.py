from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import VICReg
from unconfound.methods.vicreg import VICRegOptions


def test_the_three_terms_are_logged_and_add_up_to_the_loss():
    options = VICRegOptions(hidden_features=6, projection_features=5, invariance=3.0, variance=5.0, covariance=7.0)
    method = VICReg(convnet(), IMAGES, options)
    torch.manual_seed(3)
    step = method(image_batch(9))
    torch.manual_seed(3)
    first, second = method.head(method.encoder(method.views(image_batch(9).inputs))).detach().double().chunk(2)
    covariances = [view.T.cov() for view in (first, second)]
    expected = {
        "invariance": torch.nn.functional.mse_loss(first, second).item(),
        "variance": sum((1 - (each.diag() + 1e-4).sqrt()).clamp_min(0).mean().item() / 2 for each in covariances),
        "covariance": sum((each.square().sum() - each.diag().square().sum()).item() / 5 for each in covariances),
    }
    assert {name: value.item() for name, value in step.scalars.items()} == pytest.approx(expected, rel=1e-4)
    assert not any(value.requires_grad for value in step.scalars.values())
    weighted = 3 * expected["invariance"] + 5 * expected["variance"] + 7 * expected["covariance"]
    assert step.loss.item() == pytest.approx(weighted, rel=1e-4)


def test_embeddings_that_are_all_equal_have_the_highest_variance_term():
    scalars = VICReg(convnet(), IMAGES).compare(torch.full((16, 3, 8, 8), 0.5)).scalars
    assert scalars["variance"].item() == pytest.approx(0.99, abs=1e-3)
    assert scalars["invariance"].item() == pytest.approx(0, abs=1e-6)
