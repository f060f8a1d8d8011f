"""Holes are filled from their surroundings, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.views.inpainting import inpaint


def _images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _by_hand(values, weights):
    """Pull-push of one channel, pixel by pixel."""
    height, width = len(values), len(values[0])
    if height == width == 1:
        return [[values[0][0] / weights[0][0] if weights[0][0] else 0.0]]
    coarse_values, coarse_weights = [], []
    for top in range(0, height, 2):
        coarse_values.append([])
        coarse_weights.append([])
        for left in range(0, width, 2):
            pixels = [(y, x) for y in (top, top + 1) for x in (left, left + 1) if y < height and x < width]
            weight = sum(weights[y][x] for y, x in pixels) / len(pixels)
            value = sum(values[y][x] for y, x in pixels) / len(pixels)
            scale = 1 / max(weight, 0.25)
            coarse_values[-1].append(value * scale)
            coarse_weights[-1].append(weight * scale)
    coarse = _by_hand(coarse_values, coarse_weights)

    def lying(place, size, coarse_size):
        at = min(max((place + 0.5) * coarse_size / size - 0.5, 0), coarse_size - 1)
        low = int(at)
        return low, min(low + 1, coarse_size - 1), at - low

    filled = []
    for y in range(height):
        up, down, v = lying(y, height, len(coarse))
        filled.append([])
        for x in range(width):
            left, right, h = lying(x, width, len(coarse[0]))
            upper = coarse[up][left] * (1 - h) + coarse[up][right] * h
            lower = coarse[down][left] * (1 - h) + coarse[down][right] * h
            filled[-1].append(values[y][x] + (1 - weights[y][x]) * (upper * (1 - v) + lower * v))
    return filled


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 9)])
def test_it_is_pull_push_by_hand(size):
    images = _images(3, 2, *size)
    holes = _images(3, 1, *size, seed=1) < 0.6
    found = inpaint(images, holes)
    for sample in range(3):
        known = (~holes[sample, 0]).double()
        for channel in range(2):
            wanted = _by_hand((images[sample, channel] * known).tolist(), known.tolist())
            torch.testing.assert_close(found[sample, channel], torch.tensor(wanted, dtype=torch.float64))


@given(height=st.integers(1, 12), width=st.integers(1, 12), covered=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_what_is_known_stays_and_a_hole_is_no_brighter_or_darker_than_what_is_known(height, width, covered, seed):
    images = _images(2, 1, height, width, seed=seed)
    holes = _images(2, 1, height, width, seed=seed + 1) < covered
    filled = inpaint(images, holes)
    assert torch.equal(filled[~holes], images[~holes])
    for image, hole, known in zip(filled, holes, images, strict=True):
        rest = known[~hole]
        low, high = (rest.min(), rest.max()) if len(rest) else (torch.tensor(0.0), torch.tensor(0.0))
        assert low - 1e-9 <= image.min()
        assert image.max() <= high + 1e-9


def test_nothing_in_a_hole_matters():
    images, holes = _images(2, 3, 16, 16), torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    holes[:, :, 4:11, 5:12] = True
    other = torch.where(holes, float("nan"), images)
    assert torch.equal(inpaint(images, holes), inpaint(other, holes))


def test_a_slope_goes_on_through_a_hole_where_the_mean_colour_would_leave_a_patch():
    slope = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    holes = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    holes[..., 10:22, 20:26] = True
    error = (inpaint(slope, holes) - slope).abs().max()
    assert error < 0.1 < (slope[~holes].mean() - slope[holes]).abs().min()
