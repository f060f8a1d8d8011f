"""Edges of masks move by whole pixels, fade as far as they are told to, and leave something of every foreground."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage

from unconfound.functional.foregrounds.depths import depths
from unconfound.views.mask_edges import random_edges, reach

SQUARE = ndimage.generate_binary_structure(2, 2)


def _masks(count, side=16, seed=0):
    noise = torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)
    return smooth > smooth.mean()


def _moved(mask, step):
    if step == 0:
        return mask
    if step > 0:
        return ndimage.binary_dilation(mask, SQUARE, iterations=step)
    return ndimage.binary_erosion(mask, SQUARE, iterations=-step, border_value=1)


def test_depths_count_the_steps_to_the_edge():
    masks = _masks(4)
    found = depths(masks, 3)
    assert set(found.unique().tolist()) <= {-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5}
    for mask, depth in zip(masks[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        for step in range(-3, 4):
            assert ((depth + step > 0) == _moved(mask, step)).all()


@pytest.mark.parametrize(("mask", "wanted"), [(False, -2.5), (True, 2.5)])
def test_empty_and_full_masks_have_no_edge(mask, wanted):
    assert (depths(torch.full((1, 1, 5, 4), mask), 2) == wanted).all()


def test_every_step_up_to_the_rim_comes_equally_often():
    masks = torch.zeros(3000, 1, 15, 15, dtype=torch.bool)
    masks[:, :, 3:12, 3:12] = True
    edges = random_edges(depths(masks, 2), rim=2, soft_edge=0.0, generator=torch.Generator().manual_seed(0))
    assert set(edges.unique().tolist()) == {0.0, 1.0}
    sides, counts = edges.sum((1, 2, 3)).sqrt().unique(return_counts=True)
    assert sides.tolist() == [5, 7, 9, 11, 13]
    # Five standard deviations of 3000 draws.
    assert ((counts - 600).abs() < 110).all()


def test_an_erosion_leaves_a_quarter_of_a_thin_foreground():
    masks = torch.zeros(200, 1, 15, 15, dtype=torch.bool)
    masks[:, :, 2:13, 6:9] = True  # Three pixels wide: the first step leaves 9 of 33, the second nothing.
    edges = random_edges(depths(masks, 2), rim=2, soft_edge=0.0, generator=torch.Generator().manual_seed(0))
    assert set(edges.sum((1, 2, 3)).tolist()) == {9.0, 33.0, 13.0 * 5, 15.0 * 7}


def test_a_soft_edge_falls_from_1_to_0_and_is_half_at_the_edge():
    masks = torch.zeros(50, 1, 8, 24, dtype=torch.bool)
    masks[..., :12] = True
    edges = random_edges(depths(masks, 3), rim=0, soft_edge=3.0, generator=torch.Generator().manual_seed(0))
    rows = edges[:, 0, 4]
    assert (rows.diff(dim=1) <= 0).all()
    assert (rows[:, :9] == 1).all()
    assert (rows[:, 15:] == 0).all()
    torch.testing.assert_close(rows[:, 11] + rows[:, 12], torch.ones(50))
    widths = ((rows > 0) & (rows < 1)).sum(1)
    assert widths.unique().tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(("rim", "soft_edge", "far"), [(0, 0.0, 0), (2, 0.0, 2), (1, 0.2, 2), (0, 3.0, 3)])
def test_no_edge_lies_beyond_the_reach(rim, soft_edge, far):
    assert reach(rim, soft_edge) == far
    masks = _masks(100, seed=3)
    edges = random_edges(depths(masks, far), rim=rim, soft_edge=soft_edge, generator=torch.Generator().manual_seed(1))
    for mask, edge in zip(masks[:, 0].numpy(), edges[:, 0].numpy(), strict=True):
        assert not (edge > 0)[~_moved(mask, far)].any()
