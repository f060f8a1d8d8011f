from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.toy import GROUPED, convnet, image_batch, mlp, row_batch
from unconfound.functional.saliency import contra_cam, contrastive_scores, xgrad_cam
from unconfound.methods.parts.model_saliency import class_saliency, contrastive_saliency


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


def test_contrastive_saliency_is_that_of_the_score_and_hides_what_it_found():
    model, images = _model().eval(), image_batch(4).inputs / 255.0
    network, own = model[0].network, torch.eye(4, dtype=torch.bool)
    colour = images.mean((0, 2, 3)).view(1, 3, 1, 1)
    shown, keys, others, expected = images, None, [], torch.zeros(4, 1, 8, 8)
    for iteration in (1, 2):
        maps = network.network.maps(network.normalize(shown)).detach().requires_grad_()
        projections = model[1](maps.mean((2, 3)))
        others.append(projections.detach())
        keys = projections.detach() if keys is None else keys
        scores = contrastive_scores(projections, keys, torch.cat(others), own=own.repeat(1, iteration))
        (gradients,) = torch.autograd.grad(scores.sum(), maps)
        expected = torch.maximum(expected, contra_cam(maps.detach(), gradients, (8, 8)))
        shown = images * (1 - expected) + colour * expected
        found = contrastive_saliency(model, images, iterations=iteration)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    assert not found.requires_grad
    with pytest.raises(ValueError, match="use at least two images"):
        contrastive_saliency(model, images[:1])
