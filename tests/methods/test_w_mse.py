from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.whitening import slicing_orders
from unconfound.methods import WMSE
from unconfound.methods.w_mse import WMSEOptions


def _whitened(rows):
    """Cholesky whitening by the inverse of the covariance: W^T W = S^-1, W lower triangular."""
    # The Cholesky factor of the inverse, rows and columns reversed, is the transposed inverse factor.
    inverse = torch.linalg.inv(rows.T.cov())
    matrix = torch.linalg.cholesky(inverse.flip(0, 1)).flip(0, 1).T
    return torch.nn.functional.normalize((rows - rows.mean(0)) @ matrix.T, dim=1)


@pytest.mark.parametrize("iterations", [1, 3])
def test_the_loss_is_the_distance_after_each_sub_batch_is_whitened(iterations):
    options = WMSEOptions(
        hidden_features=6, projection_features=3, sub_batch_size=6, iterations=iterations, shrinkage=0.0
    )
    method = WMSE(convnet(), IMAGES, options)
    torch.manual_seed(3)
    step = method(image_batch(13))
    torch.manual_seed(3)
    first, second = method.head(method.encoder(method.views(image_batch(13).inputs))).detach().double().chunk(2)
    distances = [
        (_whitened(first[part]) - _whitened(second[part])).square().sum(1)
        for order in slicing_orders(13, iterations)
        for part in (order[:7], order[7:])
    ]
    assert step.loss.item() == pytest.approx(torch.cat(distances).mean().item(), rel=1e-3)


def test_sub_batches_mix_samples_that_lie_sorted():
    (order,) = slicing_orders(512, 1)
    for part in order.split(128):
        classes = (part // 52).bincount(minlength=10)
        assert (classes > 3).sum() >= 9


def test_the_defaults_bear_batches_and_encoders_smaller_than_the_projections():
    method = WMSE(convnet(), IMAGES)
    assert method.encoder.features < method.options.projection_features
    step = method(image_batch(8))
    step.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())
    exact = WMSE(convnet(), IMAGES, WMSEOptions(shrinkage=0.0))
    with pytest.raises(ValueError, match="8 rows span at most 7 of 64 features"):
        exact(image_batch(8))


def test_embeddings_that_are_all_equal_have_the_loss_of_unrelated_views():
    views = torch.full((16, 3, 8, 8), 0.5)
    loss = WMSE(convnet(), IMAGES, WMSEOptions(projection_layers=1)).compare(views).loss
    assert loss.item() == pytest.approx(2, abs=1e-3)


def test_whitening_without_shrinkage_needs_more_samples_than_features():
    with pytest.raises(ValueError, match="without shrinkage sub_batch_size must be above projection_features, 64, got"):
        WMSEOptions(shrinkage=0.0, projection_features=64, sub_batch_size=64)
