from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.relation import relational_loss
from unconfound.functional.similarity import normalize
from unconfound.methods import ReSSL
from unconfound.methods.ressl import ReSSLOptions


def _method(**options):
    torch.manual_seed(0)
    return ReSSL(convnet(), IMAGES, ReSSLOptions(projection_features=5, **options))


def test_the_strong_view_is_compared_with_the_target_s_weak_one_over_the_queue():
    method = _method(queue=9, temperature=0.2, target_temperature=0.07)
    other, views = copy.deepcopy(method), method.two_views(image_batch(6))
    compared = method.compare(views)
    queue = other.queue.rows()
    strong, weak = views.chunk(2)
    keys = normalize(other.target(weak))
    expected = relational_loss(other.head(other.encoder(strong)), keys, queue, temperature=0.2, key_temperature=0.07)
    torch.testing.assert_close(compared.loss, expected)
    torch.testing.assert_close(method.queue.rows(), torch.cat([keys, queue[6:]]))
    torch.testing.assert_close(compared.projections[:6], other.head(other.encoder(strong)))
    torch.testing.assert_close(compared.embeddings[6:], other.encoder(weak))


def test_the_queue_holds_the_target_s_latest_keys_and_wraps_around():
    method = _method(queue=9)
    keys = []
    for seed in range(3):
        views = method.two_views(image_batch(4, seed=seed))
        keys.append(normalize(copy.deepcopy(method.target)(views[4:])))
        method.compare(views)
    expected = torch.cat(keys)[-9:]
    # Twelve keys in a queue of nine: the last three stand first.
    torch.testing.assert_close(method.queue.rows(), expected.roll(3, 0))


def test_weak_views_are_cropped_and_flipped_alone():
    whole = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip_probability": 0.0, "jitter_probability": 1.0}
    method, batch = _method(**whole, blur_probability=1.0), image_batch()
    strong, weak = method.two_views(batch).chunk(2)
    torch.testing.assert_close(weak, batch.inputs / 255, atol=1e-5, rtol=0)
    assert ((strong - weak).abs().amax((1, 2, 3)) > 0.05).all()
    method = _method(**whole | {"flip_probability": 1.0})
    torch.testing.assert_close(method.two_views(batch)[6:], batch.inputs.flip(3) / 255, atol=1e-5, rtol=0)
    assert not torch.allclose(_method().two_views(batch)[6:], weak)


def test_no_gradient_of_the_loss_passes_through_the_weak_views():
    method = _method()
    views = method.two_views(image_batch()).requires_grad_()
    (gradient,) = torch.autograd.grad(method.compare(views).loss, views)
    assert gradient[:6].any()
    assert not gradient[6:].any()


def test_equal_embeddings_give_the_logarithm_of_the_queue_and_no_gradient():
    method = _method(queue=8)
    # A head whose last BatchNorm gives every sample its bias alone.
    for norm in (method.head[-1], method.target.network[-1][-1]):
        nn.init.zeros_(norm.weight)
        nn.init.ones_(norm.bias)
    images = image_batch(8)
    method(images)
    loss = method(images).loss
    assert loss.item() == pytest.approx(math.log(8))
    loss.backward()
    assert method.head[-1].bias.grad.abs().max() < 1e-6
