from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.views import MultiCropOptions, local_views

IMAGES = Schema("images", (3, 28, 35), ("a", "b"))
# So that a view shows nothing but its crop.
PLAIN = {"flip_probability": 0.0, "jitter_probability": 0.0, "grayscale_probability": 0.0}


def test_small_views_are_three_sevenths_of_a_side_unless_said_otherwise():
    assert local_views(MultiCropOptions(), Schema("images", (3, 224, 224), ("a",))).size == 96
    assert local_views(MultiCropOptions(), IMAGES).size == 12
    assert local_views(MultiCropOptions(local_size=9), IMAGES).size == 9
    assert local_views(MultiCropOptions(), Schema("images", (3, 1, 1), ("a",))).size == 1


def test_small_views_show_a_small_part():
    ramp = torch.linspace(0, 1, 70).expand(400, 3, 70, 70)
    options = MultiCropOptions(local_scale=(0.04, 0.16), crop_ratio=(1.0, 1.0), **PLAIN)
    views = local_views(options, IMAGES)(ramp, torch.Generator().manual_seed(0), count=3)
    assert views.shape == (1200, 3, 12, 12)
    # The share of the side is the root of that of the area.
    shown = (views[:, 0, 0, -1] - views[:, 0, 0, 0]) * 12 / 11
    assert 0.15 < shown.min() < 0.25
    assert 0.35 < shown.max() < 0.45


@pytest.mark.parametrize("scale", [(0.0, 0.1), (0.5, 0.2), (0.1, 1.5)])
def test_scales_that_are_none_are_refused(scale):
    with pytest.raises(ValueError, match=r"local_scale (must be|is)"):
        local_views(MultiCropOptions(local_scale=scale), IMAGES)
