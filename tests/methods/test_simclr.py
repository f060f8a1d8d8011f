from __future__ import annotations

import math

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import SimCLR
from unconfound.methods.simclr import SimCLROptions


def _nt_xent(first, second, temperature):
    """Equation 1 of the paper, pair by pair, in Python's floats."""
    rows = torch.cat([first, second]).detach().double()
    rows = [row / row.norm() for row in rows]
    batch, total = len(first), 0.0
    for at, row in enumerate(rows):
        scores = {other: math.exp(float(row @ rows[other]) / temperature) for other in range(2 * batch) if other != at}
        total -= math.log(scores[(at + batch) % (2 * batch)] / sum(scores.values()))
    return total / (2 * batch)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("size", [2, 7])
def test_the_loss_is_nt_xent_of_the_projections_of_two_views(temperature, size):
    method = SimCLR(convnet(), IMAGES, SimCLROptions(temperature=temperature, projection_features=5))
    batch = image_batch(size)
    torch.manual_seed(11)
    step = method(batch)
    torch.manual_seed(11)
    views = method.views(batch.inputs)
    projections = method.head(method.encoder(views))
    assert projections.shape == (2 * size, 5)
    expected = _nt_xent(projections[:size], projections[size:], temperature)
    assert step.loss.item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(step.embeddings, method.encoder(views))
    assert not step.embeddings.requires_grad


def test_views_are_drawn_anew_by_torch_s_generator():
    method = SimCLR(convnet(), IMAGES)

    def loss(seed):
        torch.manual_seed(seed)
        return method(image_batch()).loss.item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


def test_the_options_reach_the_views_and_the_head():
    options = SimCLROptions(
        crop_scale=(1.0, 1.0),
        crop_ratio=(1.0, 1.0),
        flip_probability=0.0,
        jitter_probability=0.0,
        grayscale_probability=0.0,
        projection_layers=1,
    )
    method = SimCLR(convnet(), IMAGES, options)
    batch = image_batch()
    torch.testing.assert_close(method.views(batch.inputs), batch.inputs.repeat(2, 1, 1, 1) / 255, atol=1e-5, rtol=0)
    assert [type(module).__name__ for module in method.head] == ["Linear", "BatchNorm1d"]
    assert method.head[0].bias is None
