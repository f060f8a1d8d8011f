from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.toy import GROUPED, convnet, image_batch, mlp, row_batch
from unconfound.functional.saliency import xgrad_cam
from unconfound.methods.parts.class_saliency import class_saliency


def _model():
    torch.manual_seed(0)
    encoder = convnet(GROUPED)
    return nn.Sequential(encoder, nn.Linear(encoder.features, 3)).requires_grad_(False)


def test_it_is_that_of_the_last_convolution_and_of_the_predicted_class():
    model, images = _model(), image_batch(5).inputs
    model.train()
    statistics = [buffer.clone() for buffer in model.buffers()]
    found = class_saliency(model, images)
    assert model.training
    assert all(torch.equal(*pair) for pair in zip(statistics, model.buffers(), strict=True))
    assert not found.requires_grad

    # By hand: the mean over all places is linear, so the gradient of a logit is its weight over their number.
    normalized = model.eval()[0].network
    maps = normalized.network.maps(normalized.normalize(images))
    rows = model[1].weight[model(images).argmax(1)]
    gradients = (rows / maps[0, 0].numel())[:, :, None, None].expand_as(maps)
    torch.testing.assert_close(found, xgrad_cam(maps, gradients))
    torch.testing.assert_close(class_saliency(model, images / 255.0), found)


def test_it_needs_no_gradient_to_be_on():
    model, images = _model(), image_batch(3).inputs
    expected = class_saliency(model, images)
    with torch.no_grad():
        assert torch.equal(class_saliency(model, images), expected)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_encoder_without_maps_is_refused():
    encoder = mlp()
    with pytest.raises(ValueError, match=r"computes no map of features of several places, .*take a convolutional enc"):
        class_saliency(nn.Sequential(encoder, nn.Linear(8, 2)), row_batch().inputs)
