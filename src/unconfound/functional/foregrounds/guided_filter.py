"""The guided filter: smooth one picture along the edges of another."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad


def guided_filter(
    guide: Float[Tensor, "batch 1 height width"],
    values: Float[Tensor, "batch 1 height width"],
    *,
    radius: int,
    epsilon: float,
) -> Float[Tensor, "batch 1 height width"]:
    """Fit `values` by a linear function of `guide` in every window, and average the fits of all windows over a pixel.

    He, Sun and Tang, "Guided Image Filtering", ECCV 2010, equations 5, 6 and 8. Windows at the edge are cut off.

    Args:
        guide: whose edges are kept.
        values: to smooth.
        radius: of the square windows, in pixels, at least 0.
        epsilon: above 0; variances of the guide well below it are smoothed, those well above it kept.
    """
    mean_guide, mean_values = window_mean(guide, radius), window_mean(values, radius)
    covariance = window_mean(guide * values, radius) - mean_guide * mean_values
    variance = (window_mean(guide.square(), radius) - mean_guide.square()).clamp_min(0)
    slope = covariance / (variance + epsilon)
    offset = mean_values - slope * mean_guide
    return window_mean(slope, radius) * guide + window_mean(offset, radius)


def window_mean(values: Float[Tensor, "batch 1 height width"], radius: int) -> Float[Tensor, "batch 1 height width"]:
    """Return the mean over the square of 2 x radius + 1 pixels around each, without what lies outside."""
    sums, counts = values, torch.ones_like(values[:1])
    for axis in (2, 3):
        sums, counts = _window_sums(sums, radius, axis), _window_sums(counts, radius, axis)
    return sums / counts


def _window_sums(values: Tensor, radius: int, axis: int) -> Tensor:
    # Several times as fast as the pooling of torch on a CPU.
    size = values.shape[axis]
    padded = pad(values, (0, 0, radius, radius) if axis == 2 else (radius, radius))
    return sum((padded.narrow(axis, step, size) for step in range(1, 2 * radius + 1)), padded.narrow(axis, 0, size))
