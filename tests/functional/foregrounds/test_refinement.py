"""Masks that are too wide or too narrow become those that the colours show, and never move by more than was allowed."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unconfound.functional.foregrounds.depths import depths
from unconfound.functional.foregrounds.otsu import otsu_thresholds
from unconfound.functional.foregrounds.refinement import refine_masks

SQUARE = ndimage.generate_binary_structure(2, 2)


def _squares(count=8, *, side=24, channels=3):
    """Bright squares on dark noise, and their masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(count, 1, side, side, dtype=torch.bool)
    for sample in range(count):
        masks[sample, :, 6 + sample % 3 : 14, 8 : 15 + sample % 2] = True
    dark = torch.randint(20, 60, (count, channels, side, side), generator=generator)
    return torch.where(masks, 200, dark).to(torch.uint8), masks


def _grown(mask, steps):
    return ndimage.binary_dilation(mask, SQUARE, iterations=steps) if steps else mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wider", [-2, -1, 0, 1, 2])
def test_masks_that_are_wrong_by_some_pixels_are_put_right(wider, channels):
    images, true = _squares(channels=channels)
    given = depths(true, abs(wider)) + wider > 0 if wider else true
    refined = refine_masks(images, given, wrong_by=2)
    # The guided filter blurs corners.
    both, either = (refined & true).flatten(1).sum(1), (refined | true).flatten(1).sum(1)
    assert (both / either).min() > 0.85
    assert torch.equal(refine_masks(images, given, wrong_by=0), given)


def test_shades_and_contrast_do_not_matter_and_neither_does_the_batch():
    images, true = _squares()
    wide = depths(true, 2) > -2
    refined = refine_masks(images, wide, wrong_by=2)
    others = [refine_masks(images.float() / 2 + 7, wide, wrong_by=2)]
    others.append(
        torch.cat([refine_masks(*pair, wrong_by=2) for pair in zip(images.split(1), wide.split(1), strict=True)])
    )
    for other in others:
        # A pixel on the threshold may fall on either side of it.
        assert (other != refined).float().mean() < 0.002


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), wrong_by=st.integers(1, 3), share=st.floats(0.0, 0.6))
def test_neither_mask_reaches_farther_from_the_other_than_allowed(seed, wrong_by, share):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (3, 3, 15, 13), dtype=torch.uint8, generator=generator)
    masks = torch.rand(3, 1, 15, 13, generator=generator) < share / 5
    refined = refine_masks(images, masks, wrong_by=wrong_by)
    for before, after in zip(masks[:, 0].numpy(), refined[:, 0].numpy(), strict=True):
        assert after.any() == before.any()
        assert not (after & ~_grown(before, wrong_by)).any()
        assert not (before & ~_grown(after, wrong_by)).any()


def test_masks_without_a_background_or_a_foreground_stay():
    images, masks = _squares(3)
    masks[0], masks[1] = False, True
    masks[2] = True
    masks[2, :, 0, 0] = False
    assert torch.equal(refine_masks(images, masks, wrong_by=2), masks)


def test_an_image_of_one_colour_tells_nothing():
    images, masks = torch.full((2, 3, 12, 12), 9, dtype=torch.uint8), _squares(2, side=24)[1][..., 4:16, 4:16]
    assert torch.equal(refine_masks(images, masks, wrong_by=1), masks)


def test_thresholds_of_counted_values_are_those_of_these_alone():
    values = torch.rand(6, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    counted = torch.rand(6, 200, generator=torch.Generator().manual_seed(2)) < 0.4
    found = otsu_thresholds(values, counted=counted)
    for row in range(6):
        alone = otsu_thresholds(values[row][counted[row]][None])
        np.testing.assert_allclose(found[row].item(), alone.item(), rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"masks": torch.ones(2, 1, 4, 5) > 0},
            ValueError,
            r"masks have the shape \(2, 1, 4, 5\), the images \(2, 3, 4",
        ),
        ({"wrong_by": -1}, ValueError, "wrong_by is -1: it must be 0 pixels or more"),
        ({"images": torch.full((2, 3, 4, 4), torch.nan)}, ValueError, "images must be finite"),
        ({"images": torch.ones(2, 3, 4, 4).long()}, TypeError, "images must be uint8 or floating-point"),
    ],
)
def test_bad_input_is_refused(changes, error, message):
    given = {"images": torch.rand(2, 3, 4, 4), "masks": torch.ones(2, 1, 4, 4) > 0, "wrong_by": 1} | changes
    images, masks = given.pop("images"), given.pop("masks")
    # Not by the checks of shapes, which users do not have.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(error, match=message):
            refine_masks(images, masks, **given)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
