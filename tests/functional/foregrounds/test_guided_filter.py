from __future__ import annotations

import pytest
import torch

from unconfound.functional.foregrounds.guided_filter import guided_filter, window_mean


def _naive_mean(values, radius):
    height, width = values.shape
    mean = torch.empty_like(values)
    for row in range(height):
        for column in range(width):
            window = values[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1]
            mean[row, column] = window.sum() / window.numel()
    return mean


def _naive_filter(guide, values, radius, epsilon):
    """Fit a line in every window by its definition, then average the lines over each pixel."""
    height, width = guide.shape
    slopes, offsets = torch.empty_like(guide), torch.empty_like(guide)
    for row in range(height):
        for column in range(width):
            near = slice(max(0, row - radius), row + radius + 1), slice(max(0, column - radius), column + radius + 1)
            x, y = guide[near].flatten(), values[near].flatten()
            slope = ((x - x.mean()) * (y - y.mean())).mean() / ((x - x.mean()).square().mean() + epsilon)
            slopes[row, column], offsets[row, column] = slope, y.mean() - slope * x.mean()
    return _naive_mean(slopes, radius) * guide + _naive_mean(offsets, radius)


@pytest.mark.parametrize(("height", "width", "radius"), [(7, 5, 1), (6, 9, 2), (1, 1, 1), (2, 3, 4), (3, 3, 0)])
def test_it_fits_and_averages_as_its_definition_says(height, width, radius):
    generator = torch.Generator().manual_seed(0)
    guide, values = torch.rand(2, 3, 1, height, width, dtype=torch.float64, generator=generator)
    filtered = guided_filter(guide, values, radius=radius, epsilon=0.01)
    for sample in range(3):
        wanted = _naive_filter(guide[sample, 0], values[sample, 0], radius, 0.01)
        torch.testing.assert_close(filtered[sample, 0], wanted, atol=1e-12, rtol=0)
        torch.testing.assert_close(
            window_mean(values, radius)[sample, 0], _naive_mean(values[sample, 0], radius), atol=1e-12, rtol=0
        )


def test_a_constant_guide_leaves_two_window_means():
    values = torch.rand(2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    filtered = guided_filter(torch.full_like(values, 0.3), values, radius=1, epsilon=0.01)
    torch.testing.assert_close(filtered, window_mean(window_mean(values, 1), 1))
