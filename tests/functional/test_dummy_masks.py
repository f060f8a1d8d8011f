from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unconfound.functional.invariance import cosine_embedding_gradient, mask_gradients

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


def _loss(maps, weight, bias, proxies, labels):
    """CosFace on a linear head behind the mean over places, written from its definition."""
    embeddings = maps.mean((2, 3)) @ weight.T + bias
    cosines = embeddings @ proxies.T / embeddings.norm(dim=1)[:, None] / proxies.norm(dim=1)
    logits = SCALE * (cosines - MARGIN * F.one_hot(labels, len(proxies)))
    return embeddings, logits, F.cross_entropy(logits, labels, reduction="none")


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_both_masks_against_autograd_one_sample_at_a_time(seed, batch, channels, height):
    maps, weight, bias, proxies, labels = _drawn(seed, batch, channels, height)
    embeddings, logits, _ = _loss(maps, weight, bias, proxies, labels)
    to_embedding = cosine_embedding_gradient(embeddings, proxies, logits, labels, SCALE)
    channel, spatial = mask_gradients(maps, to_embedding @ weight)
    assert channel.shape == (batch, channels)
    assert spatial.shape == (batch, height * 3)
    for i in range(batch):
        by_channel = torch.ones(1, channels, 1, 1, dtype=torch.float64, requires_grad=True)
        by_place = torch.ones(1, 1, height, 3, dtype=torch.float64, requires_grad=True)
        loss = _loss(maps[i : i + 1] * by_place * by_channel, weight, bias, proxies, labels[i : i + 1])[2]
        expected = torch.autograd.grad(loss.sum(), [by_channel, by_place])
        torch.testing.assert_close(channel[i], expected[0].flatten())
        torch.testing.assert_close(spatial[i], expected[1].flatten())
    torch.testing.assert_close(channel.sum(1), spatial.sum(1))


def test_both_sum_to_0_for_cosines_behind_a_head_without_bias():
    maps, weight, bias, proxies, labels = _drawn(0)
    embeddings, logits, _ = _loss(maps, weight, 0 * bias, proxies, labels)
    gradient = cosine_embedding_gradient(embeddings, proxies, logits, labels, SCALE)
    # The gradient stands at right angles to the embedding.
    assert (gradient * embeddings).sum(1).abs().max() < 1e-12
    for mask in mask_gradients(maps, gradient @ weight):
        assert mask.abs().max() > 0.01
        assert mask.sum(1).abs().max() < 1e-12
    with_bias, logits, _ = _loss(maps, weight, bias, proxies, labels)
    gradient = cosine_embedding_gradient(with_bias, proxies, logits, labels, SCALE)
    assert mask_gradients(maps, gradient @ weight)[0].sum(1).abs().max() > 1e-3


def test_the_gradient_by_the_embedding_is_autograds():
    maps, weight, bias, proxies, labels = _drawn(1)
    maps.requires_grad_()
    embeddings, logits, losses = _loss(maps, weight, bias, proxies, labels)
    (expected,) = torch.autograd.grad(losses.sum(), embeddings)
    torch.testing.assert_close(cosine_embedding_gradient(embeddings, proxies, logits, labels, scale=SCALE), expected)


def test_half_precision_memory_formats_and_rows_of_zeros():
    maps, weight, bias, proxies, labels = (
        own.float() if own.is_floating_point() else own for own in _drawn(2, batch=4, height=3)
    )
    embeddings, logits, _ = _loss(maps, weight, bias, proxies, labels)
    exact = mask_gradients(maps, cosine_embedding_gradient(embeddings, proxies, logits, labels, SCALE) @ weight)
    with torch.autocast("cpu", torch.bfloat16):
        gradient = cosine_embedding_gradient(embeddings, proxies, logits, labels, SCALE).float() @ weight.float()
        assert gradient.dtype == torch.bfloat16  # the matrix product above is the caller's
        same = mask_gradients(maps.contiguous(memory_format=torch.channels_last), gradient)
    for ours, theirs in zip(same, exact, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.02)
    half = cosine_embedding_gradient(embeddings.half(), proxies.half(), logits.half(), labels, SCALE)
    assert half.dtype == torch.float32
    torch.testing.assert_close(
        half, cosine_embedding_gradient(embeddings, proxies, logits, labels, SCALE), atol=0.05, rtol=0.05
    )
    zeros = cosine_embedding_gradient(torch.zeros_like(embeddings), proxies, logits, labels, SCALE)
    assert zeros.abs().max() == 0


@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named():
    maps, embeddings, logits = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5), torch.zeros(2, 6)
    with pytest.raises(ValueError, match=r"maps must be \[batch, channels, height, width\] and pooled_gradient"):
        mask_gradients(maps, torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"got shapes \(2, 3\) and \(2, 3\)"):
        mask_gradients(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(TypeError, match="maps must be floating-point"):
        mask_gradients(maps.long(), torch.zeros(2, 3))
    labels = torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"embeddings must be \[batch, features\], proxies \[classes, features\]"):
        cosine_embedding_gradient(embeddings, torch.zeros(5, 5), logits, labels, 1.0)
    with pytest.raises(ValueError, match="labels must be 0 to 5"):
        cosine_embedding_gradient(embeddings, torch.zeros(6, 5), logits, labels + 6, 1.0)
