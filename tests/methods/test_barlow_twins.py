from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import BarlowTwins
from unconfound.methods.barlow_twins import BarlowTwinsOptions


@pytest.mark.parametrize("weight", [0.0051, 0.5])
def test_the_loss_is_that_of_the_projections_correlations(weight):
    options = BarlowTwinsOptions(hidden_features=6, projection_features=5, off_diagonal_weight=weight)
    method = BarlowTwins(convnet(), IMAGES, options)
    torch.manual_seed(3)
    step = method(image_batch(9))
    torch.manual_seed(3)
    projections = method.head(method.encoder(method.views(image_batch(9).inputs))).detach().double()
    # Rows of corrcoef are features: of the first view, then of the second.
    correlation = torch.corrcoef(torch.cat(projections.chunk(2), dim=1).T)[:5, 5:]
    expected = sum(
        (1 - float(correlation[i, j])) ** 2 if i == j else weight * float(correlation[i, j]) ** 2
        for i in range(5)
        for j in range(5)
    )
    # The paper's deviation, without the code's epsilon.
    assert step.loss.item() == pytest.approx(expected, rel=0.02)


def test_embeddings_that_are_all_equal_cost_one_a_feature():
    method = BarlowTwins(convnet(), IMAGES, BarlowTwinsOptions(projection_features=50, projection_layers=1))
    loss = method.compare(torch.full((16, 3, 8, 8), 0.5)).loss
    assert loss.item() == pytest.approx(50, rel=1e-3)
