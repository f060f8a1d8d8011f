from __future__ import annotations

import pytest
import torch

from unconfound.functional.foregrounds.feature_distance import estimate_masks_by_features, feature_distances
from unconfound.functional.foregrounds.overlap import intersection_over_union


def _maps(samples=3, features=5, rows=7, columns=6):
    return torch.randn(
        samples, features, rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def test_the_distance_is_that_of_mahalanobis_with_a_ridge():
    """One image after the other, one place after the other; the scale of the features cancels out."""
    maps = _maps()
    found = feature_distances(maps)
    assert found.shape == (3, 1, 7, 6)
    places = [(row, column) for row in range(7) for column in range(6)]
    for single, distances in zip(maps, found, strict=True):
        around = torch.stack([single[:, row, column] for row, column in places if row in (0, 6) or column in (0, 5)])
        mean = around.mean(0)
        covariance = (around - mean).T @ (around - mean) / len(around)
        inverse = torch.linalg.inv(covariance + 0.1 * covariance.trace() / 5 * torch.eye(5).double())
        for row, column in places:
            off = single[:, row, column] - mean
            torch.testing.assert_close(distances[0, row, column], (off @ inverse @ off).sqrt())


def test_more_features_than_places_on_the_border_are_no_matter():
    maps = _maps(features=64)
    found = feature_distances(maps)
    assert bool(found.isfinite().all())
    # Features may be turned into each other without changing any distance.
    turn, _ = torch.linalg.qr(_maps(1, 1, 64, 64)[0, 0])
    torch.testing.assert_close(feature_distances(torch.einsum("fg,bghw->bfhw", turn, maps)), found)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scale_shift_and_order_change_nothing(scale):
    maps = _maps()
    found = feature_distances(maps)
    torch.testing.assert_close(feature_distances(scale * maps + 3 * scale), found)
    torch.testing.assert_close(feature_distances(maps[[2, 0]]), found[[2, 0]])
    torch.testing.assert_close(feature_distances(maps.flip(3)), found.flip(3))


def _scene(size=32):
    """Draw squares whose colours are motley, as their grounds' are, on a map of features that tells them apart."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 1, size, size, dtype=torch.bool)
    for sample in range(4):
        masks[sample, :, 8 + sample : 20 + sample, 10:22] = True
    dark = torch.randint(20, 60, (4, 3, size, size), generator=generator)
    bright = torch.randint(150, 200, (4, 3, size, size), generator=generator)
    images = torch.where(masks, bright, dark).to(torch.uint8)
    coarse = torch.nn.functional.avg_pool2d(masks.float(), 2)
    noise = torch.randn(4, 8, size // 2, size // 2, generator=generator)
    return images, masks, 4 * coarse + noise


def test_an_object_whose_features_are_unlike_the_border_is_found_with_its_outline():
    images, masks, maps = _scene()
    found = estimate_masks_by_features(images, maps)
    assert found.dtype == torch.bool
    assert intersection_over_union(found, masks).min() > 0.9
    assert torch.equal(estimate_masks_by_features(images[1:2], maps[1:2]), found[1:2])


def test_the_features_say_which_of_two_objects_is_meant():
    images, masks, maps = _scene()
    images[:, :, 22:30, 23:30] = 255
    found = estimate_masks_by_features(images, maps)
    assert intersection_over_union(found, masks).min() > 0.85


def test_what_is_the_same_everywhere_has_no_foreground():
    images, _, maps = _scene()
    assert not estimate_masks_by_features(images, torch.full_like(maps, 0.3)).any()
    assert not estimate_masks_by_features(torch.full_like(images, 7), maps).any()
    assert (feature_distances(torch.full((2, 3, 4, 4), 0.1)) == 0).all()
    # On a map of few places all of them are border.
    assert feature_distances(_maps(2, 3, 1, 1)).shape == (2, 1, 1, 1)
    assert feature_distances(_maps(0)).shape == (0, 1, 7, 6)


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_maps_are_refused():
    images, _, maps = _scene()
    with pytest.raises(TypeError, match="maps must be floating-point"):
        feature_distances(maps.long())
    with pytest.raises(ValueError, match=r"with at least one of each, got shape \(4, 0, 16, 16\)"):
        feature_distances(maps[:, :0])
    with pytest.raises(ValueError, match="some hold NaN or infinity"):
        feature_distances(maps / 0)
    with pytest.raises(ValueError, match="3 feature maps for 4 images"):
        estimate_masks_by_features(images, maps[:3])
