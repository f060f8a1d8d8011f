"""What holds for both estimators of foregrounds."""

from __future__ import annotations

import pytest
import torch

from unconfound.functional.foregrounds.border_distance import estimate_masks
from unconfound.functional.foregrounds.colour_frequency import estimate_masks_by_frequency
from unconfound.functional.foregrounds.guided_filter import guided_filter
from unconfound.functional.foregrounds.otsu import otsu_thresholds
from unconfound.functional.foregrounds.overlap import intersection_over_union

both = pytest.mark.parametrize("estimate", [estimate_masks, estimate_masks_by_frequency])


def _squares(size=32, channels=3, samples=4):
    """Draw a bright square near the centre of a dark, faintly noisy image; and its mask."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(20, 60, (samples, channels, size, size), generator=generator)
    masks = torch.zeros(samples, 1, size, size, dtype=torch.bool)
    for sample in range(samples):
        top = size // 4 + sample
        masks[sample, :, top : top + size // 3, size // 3 : size // 3 + size // 3] = True
    inside = torch.randint(170, 200, images.shape, generator=generator)
    return torch.where(masks, inside, images).to(torch.uint8), masks


@both
@pytest.mark.parametrize(("size", "channels"), [(32, 3), (32, 1), (48, 2), (32, 5), (160, 3)])
def test_an_object_unlike_the_border_is_found(estimate, size, channels):
    images, masks = _squares(size, channels)
    found = estimate(images)
    assert found.shape == masks.shape
    assert found.dtype == torch.bool
    # Of an image of 160 pixels, estimated at 64, a pixel of the outline may be missed.
    assert intersection_over_union(found, masks).min() > (0.95 if size <= 64 else 0.85)


@both
def test_each_image_is_estimated_on_its_own(estimate):
    images, _ = _squares()
    assert torch.equal(estimate(images[2:3]), estimate(images)[2:3])


@both
def test_brightness_contrast_and_type_change_nothing(estimate):
    images, _ = _squares()
    found = estimate(images)
    assert torch.equal(estimate(images + 40), found)
    assert torch.equal(estimate(images.double()), found)
    assert torch.equal(estimate(images.double() / 256), found)


@both
@pytest.mark.parametrize("axis", [2, 3])
def test_a_mirror_image_has_the_mirrored_mask(estimate, axis):
    images, _ = _squares()
    images = images.double()
    assert torch.equal(estimate(images.flip(axis)), estimate(images).flip(axis))


@both
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 1, 1), (1, 3, 1, 5), (3, 4, 2, 2), (1, 3, 100, 70)])
def test_images_of_one_colour_have_no_foreground(estimate, shape):
    assert not estimate(torch.full(shape, 77, dtype=torch.uint8)).any()
    assert not estimate(torch.full(shape, 0.3)).any()


@both
@pytest.mark.parametrize("shape", [(2, 3, 1, 6), (2, 1, 2, 3), (1, 3, 300, 2), (0, 3, 8, 8)])
def test_odd_shapes_give_masks_of_their_own_size(estimate, shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert estimate(images).shape == (shape[0], 1, *shape[2:])


@both
def test_what_is_no_image_is_refused(estimate):
    with pytest.raises(TypeError):
        estimate(torch.zeros(1, 3, 4, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="at least one channel and one pixel"):
        estimate(torch.zeros(1, 0, 4, 4))
    with pytest.raises(ValueError, match="some hold NaN or infinity"):
        estimate(torch.full((1, 3, 4, 4), float("nan")))


def test_the_distance_is_that_of_mahalanobis():
    """One image after the other, one pixel after the other."""
    images = torch.rand(2, 3, 12, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = estimate_masks(images)
    for image, mask in zip(images, found, strict=True):
        scaled = (image - image.min()) / (image.max() - image.min())
        places = [(row, column) for row in range(12) for column in range(9)]
        around = torch.stack([scaled[:, row, column] for row, column in places if row in (0, 11) or column in (0, 8)])
        mean = around.mean(0)
        inverse = torch.linalg.inv((around - mean).T @ (around - mean) / len(around) + 1e-3 * torch.eye(3).double())
        scores = torch.empty(12, 9, dtype=torch.float64)
        for row, column in places:
            off = scaled[:, row, column] - mean
            down, across = (2 * row + 1 - 12) / 12, (2 * column + 1 - 9) / 9
            bell = torch.exp(torch.tensor(-(down**2 + across**2) / (2 * 0.8**2), dtype=torch.float64))
            scores[row, column] = (off @ inverse @ off).sqrt() * bell
        scores = scores / scores.max()
        smooth = guided_filter(scaled.mean(0)[None, None], scores[None, None], radius=1, epsilon=1e-2)
        assert torch.equal(mask[0], (smooth > otsu_thresholds(smooth.flatten(1)))[0, 0])


def test_the_frequency_estimate_without_iterations_prefers_colours_that_the_border_lacks():
    images, masks = _squares(samples=2)
    assert intersection_over_union(estimate_masks_by_frequency(images, iterations=0), masks).min() > 0.8


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_frequency_estimate_can_start_from_another():
    images, masks = _squares(samples=2)
    coarse = torch.nn.functional.avg_pool2d(masks.float(), 9, stride=1, padding=4)
    assert intersection_over_union(estimate_masks_by_frequency(images, start=coarse), masks).min() > 0.95
    # The scale of the start does not matter, and one of a single value shows no foreground.
    assert torch.equal(*(estimate_masks_by_frequency(images, start=start) for start in (coarse, 4 * coarse)))
    assert not estimate_masks_by_frequency(images, start=torch.ones_like(coarse)).any()
    with pytest.raises(ValueError, match=r"start has the shape \(2, 1, 9, 32\), the images \(2, 3, 32, 32\)"):
        estimate_masks_by_frequency(images, start=coarse[:, :, :9])


def test_overlap_counts_pixels_and_two_empty_masks_are_equal():
    first, second = torch.zeros(2, 3, 1, 2, 2, dtype=torch.bool)
    first[1, 0, 0], second[1, 0, :, 0] = True, True
    first[2] = True
    assert intersection_over_union(first, second).tolist() == pytest.approx([1.0, 1 / 3, 0.0])
