from __future__ import annotations

import pytest
import torch

from unconfound.data.images.mask_verdict import MaskVerdict, compare_estimates


def _verdict(**changed):
    return MaskVerdict(**({"images": 10, "empty": 0.0, "full": 0.0, "agreement": 0.8, "by_chance": 0.2} | changed))


def test_estimates_of_objects_on_plain_grounds_are_usable(squares):
    images, masks = squares
    verdict = compare_estimates(images, masks)
    assert verdict.usable
    assert verdict.truth > 0.95
    assert verdict.agreement > 0.9 > verdict.by_chance
    assert str(verdict).startswith("estimated masks are usable here: two estimates of 40 images agree by ")
    assert "with the true masks they agree by" in str(verdict)


def test_estimates_of_noise_agree_no_more_than_by_chance():
    images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    verdict = compare_estimates(images)
    assert not verdict.usable
    assert "useless here" in str(verdict)
    assert verdict.truth is None


def test_estimates_of_plain_images_show_nothing():
    verdict = compare_estimates(torch.full((3, 3, 8, 8), 9, dtype=torch.uint8))
    assert (verdict.empty, verdict.agreement, verdict.by_chance, verdict.beyond_chance) == (1, 1, 1, 0)
    assert not verdict.usable


@pytest.mark.parametrize(
    ("changed", "usable"),
    [
        ({}, True),
        ({"empty": 0.3, "full": 0.3}, False),
        ({"agreement": 0.3}, False),
        ({"agreement": 0.42, "by_chance": 0.24}, True),
        ({"agreement": 0.37, "by_chance": 0.34}, False),
        ({"by_chance": 0.79}, False),
    ],
)
def test_a_verdict_weighs_what_masks_show_and_how_they_agree(changed, usable):
    assert _verdict(**changed).usable is usable


def test_one_image_is_too_few():
    with pytest.raises(ValueError, match="two images or more, got 1"):
        compare_estimates(torch.zeros(1, 3, 8, 8))
