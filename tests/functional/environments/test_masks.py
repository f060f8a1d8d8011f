from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unconfound.functional.environments.masks import mask_gradients

seeds = st.integers(0, 10**6)
SCALE, MARGIN = 9.0, 0.3


def _drawn(seed, batch=3, channels=4, height=2):
    width, features, classes = 3, 5, 4
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(classes, (batch,), generator=generator)
    return (
        draw(batch, channels, height, width),
        draw(features, channels),
        draw(features),
        draw(classes, features),
        labels,
    )


def _losses(pooled, weight, bias, proxies, labels):
    """CosFace on a linear head, written from its definition."""
    embeddings = pooled @ weight.T + bias
    cosines = embeddings @ proxies.T / embeddings.norm(dim=1)[:, None] / proxies.norm(dim=1)
    logits = SCALE * (cosines - MARGIN * F.one_hot(labels, len(proxies)))
    return F.cross_entropy(logits, labels, reduction="none")


def _pooled_gradient(maps, *head):
    pooled = maps.mean((2, 3)).requires_grad_()
    return torch.autograd.grad(_losses(pooled, *head).sum(), pooled)[0]


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_both_masks_against_autograd_one_sample_at_a_time(seed, batch, channels, height):
    maps, weight, bias, proxies, labels = _drawn(seed, batch, channels, height)
    channel, spatial = mask_gradients(maps, _pooled_gradient(maps, weight, bias, proxies, labels))
    assert channel.shape == (batch, channels)
    assert spatial.shape == (batch, height * 3)
    for i in range(batch):
        by_channel = torch.ones(1, channels, 1, 1, dtype=torch.float64, requires_grad=True)
        by_place = torch.ones(1, 1, height, 3, dtype=torch.float64, requires_grad=True)
        pooled = (maps[i : i + 1] * by_place * by_channel).mean((2, 3))
        loss = _losses(pooled, weight, bias, proxies, labels[i : i + 1])
        expected = torch.autograd.grad(loss.sum(), [by_channel, by_place])
        torch.testing.assert_close(channel[i], expected[0].flatten())
        torch.testing.assert_close(spatial[i], expected[1].flatten())
    torch.testing.assert_close(channel.sum(1), spatial.sum(1))


def test_both_sum_to_0_for_cosines_behind_a_head_without_bias():
    maps, weight, bias, proxies, labels = _drawn(0)
    for mask in mask_gradients(maps, _pooled_gradient(maps, weight, 0 * bias, proxies, labels)):
        assert mask.abs().max() > 0.01
        assert mask.sum(1).abs().max() < 1e-12
    with_bias = _pooled_gradient(maps, weight, bias, proxies, labels)
    assert mask_gradients(maps, with_bias)[0].sum(1).abs().max() > 1e-3


def test_half_precision_and_memory_formats():
    maps, *head = (own.float() if own.is_floating_point() else own for own in _drawn(2, batch=4, height=3))
    gradient = _pooled_gradient(maps, *head)
    exact = mask_gradients(maps, gradient)
    with torch.autocast("cpu", torch.bfloat16):
        same = mask_gradients(maps.contiguous(memory_format=torch.channels_last), gradient.bfloat16())
    for ours, theirs in zip(same, exact, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.02)


@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named():
    maps = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"maps must be \[batch, channels, height, width\] and pooled_gradient"):
        mask_gradients(maps, torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"got shapes \(2, 3\) and \(2, 3\)"):
        mask_gradients(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(TypeError, match="maps must be floating-point"):
        mask_gradients(maps.long(), torch.zeros(2, 3))
