"""Foregrounds by how often their colours are seen inside and outside of them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, pad

from unconfound.functional.foregrounds.guided_filter import window_mean
from unconfound.functional.foregrounds.pixels import (
    centre_weights,
    masks_of_scores,
    on_border,
    scaled_pixels,
    smoothed,
)

# Bins a channel, by the number of channels.
_BINS = {1: 64, 2: 16, 3: 8}
# Below any share of a colour that one pixel makes.
_TINY = 1e-9


def estimate_masks_by_frequency(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    *,
    start: Float[Tensor, "batch 1 height width"] | None = None,
    iterations: int = 3,
) -> Bool[Tensor, "batch 1 height width"]:
    """Estimate the foreground of each image by histograms of the colours inside and outside of it, in turns.

    At first a pixel is foreground the more, the rarer its colour is on the border than in the image, and the nearer it
    is to the centre. Each iteration then counts the colours of the foreground f and of the background b, and computes
    the posterior p f(x) / (p f(x) + (1 - p) b(x)) of each pixel, with its neighbours' mean as the prior p. This follows
    GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), with histograms in place of its mixtures of Gaussians and a
    guided filter in place of its cut of a graph, and without a user's rectangle.

    It is slower than `estimate_masks` and models colours in another way, so that the agreement of the two tells how far
    either can be relied on.

    Args:
        images: uint8, or float of any range. More than three channels are averaged to three groups of neighbours.
        start: where the foreground is in the beginning, in place of rare colours near the centre, as another estimator
            finds it. Of each image the lowest value is background and the highest foreground.
        iterations: at least 0.

    Returns:
        1 on the foreground; an image of one colour has none. Images of more than 64 pixels a side are estimated at that
        size.

    Raises:
        TypeError: images are neither uint8 nor floating-point.
        ValueError: an image has no pixels or no channels, a value is NaN or infinite, or `start` is of another size.
    """
    if start is not None and start.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(
            f"start has the shape {tuple(start.shape)}, the images {tuple(images.shape)}: give one map an image, of "
            "one channel and of the same height and width"
        )
    pixels = scaled_pixels(images)
    colours, bins = _colours(pixels)
    border = on_border(*pixels.shape[2:], device=pixels.device).to(pixels.dtype)
    if start is None:
        everywhere = torch.ones_like(pixels[:, :1])
        seen, around = _frequencies(colours, everywhere, bins), _frequencies(colours, everywhere * border, bins)
        scores = _of_pixels(seen / (seen + around).clamp_min(_TINY), colours) * centre_weights(pixels)
    else:
        scores = scaled_pixels(start).to(pixels.dtype)
    scores = smoothed(scores, pixels).clamp(0, 1)
    for _ in range(iterations):
        scores = scores * (1 - border)
        inside, outside = (
            _of_pixels(_frequencies(colours, weights, bins), colours) for weights in (scores, 1 - scores)
        )
        # A prior of 0 or 1 could never be revised.
        prior = 0.1 + 0.8 * window_mean(scores, 1)
        scores = prior * inside / (prior * inside + (1 - prior) * outside).clamp_min(_TINY)
        scores = smoothed(scores, pixels).clamp(0, 1)
    constant = (pixels.amax((1, 2, 3), keepdim=True) == 0).to(pixels.dtype)
    return masks_of_scores(scores * (1 - constant), images.shape[2], images.shape[3])


def _colours(
    pixels: Float[Tensor, "batch channels height width"],
) -> tuple[Int[Tensor, "batch 1 height width"], tuple[int, ...]]:
    """Return the number of each pixel's bin, and the bins along each axis of the histogram."""
    if pixels.shape[1] > 3:
        flat = pixels.flatten(2).transpose(1, 2)
        pixels = adaptive_avg_pool1d(flat, 3).transpose(1, 2).unflatten(2, pixels.shape[2:])
    channels = pixels.shape[1]
    bins = _BINS[channels]
    numbers = (pixels * bins).long().clamp_max(bins - 1)
    places = torch.tensor([bins**axis for axis in range(channels)], device=pixels.device)
    return (numbers * places.view(1, -1, 1, 1)).sum(1, keepdim=True), (bins,) * channels


def _frequencies(
    colours: Int[Tensor, "batch 1 height width"], weights: Float[Tensor, "batch 1 height width"], bins: tuple[int, ...]
) -> Float[Tensor, "batch colours"]:
    """Return the share of the weights that each colour has, spread to neighbouring bins."""
    size = bins[0] ** len(bins)
    counts = weights.new_zeros(len(weights), size).scatter_add_(1, colours.flatten(1), weights.flatten(1))
    counts = counts.view(-1, *bins)
    for axis in range(1, 1 + len(bins)):
        padded = pad(counts.movedim(axis, -1), (1, 1))
        counts = (padded[..., :-2] / 4 + padded[..., 1:-1] / 2 + padded[..., 2:] / 4).movedim(-1, axis)
    counts = counts.flatten(1)
    return counts / counts.sum(1, keepdim=True).clamp_min(_TINY)


def _of_pixels(
    frequencies: Float[Tensor, "batch colours"], colours: Int[Tensor, "batch 1 height width"]
) -> Float[Tensor, "batch 1 height width"]:
    return frequencies.gather(1, colours.flatten(1)).view(colours.shape)
