from __future__ import annotations

import pytest
import torch

from unconfound.views.inpainting import inpaint
from unconfound.views.salient import crop_to_salient, mix_backgrounds


def _images(batch=6, size=8, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, 3, size, size, generator=generator)
    saliency = torch.zeros(batch, 1, size, size)
    saliency[:, :, 2:5, 3:6] = torch.rand(batch, 1, 3, 3, generator=generator) * 0.7 + 0.3
    return images, saliency


def test_the_salient_part_stands_before_the_filled_background_of_one_other_image():
    images, saliency = _images()
    torch.manual_seed(1)
    mixed = mix_backgrounds(images, saliency, share=1.0)
    backgrounds = inpaint(images, saliency >= 0.2)
    donors = []
    for image in range(6):
        expected = saliency[image] * images[image] + (1 - saliency[image]) * backgrounds
        donors.append(int((expected - mixed[image]).abs().amax((1, 2, 3)).argmin()))
        torch.testing.assert_close(mixed[image], expected[donors[-1]])
    assert sorted(donors) == list(range(6))
    torch.manual_seed(1)
    pixels = (images * 255).round().to(torch.uint8)
    torch.testing.assert_close(mix_backgrounds(pixels, saliency, share=1.0), mixed, atol=0.005, rtol=0)


def test_a_share_is_mixed():
    images, saliency = _images(600)
    torch.manual_seed(0)
    changed = (mix_backgrounds(images, saliency, share=0.4) != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.4, abs=0.08)
    assert torch.equal(mix_backgrounds(images, saliency, share=0.0), images)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_without_an_object_or_a_background_stay(value):
    images, saliency = _images()
    saliency[:3] = value
    torch.manual_seed(0)
    mixed = mix_backgrounds(images, saliency, share=1.0)
    assert torch.equal(mixed[:3], images[:3])
    assert mixed.isfinite().all()
    assert torch.equal(mix_backgrounds(images, torch.full_like(saliency, value), share=1.0), images)


def test_a_crop_holds_what_is_salient_and_a_margin():
    images = torch.zeros(3, 3, 20, 30)
    saliency = torch.zeros(3, 1, 20, 30)
    saliency[0, :, 5:10, 8:18] = 1.0
    saliency[0, :, 0, 0] = 0.4  # below half of the highest
    saliency[1, :, 15:20, 0:5] = 0.1
    # Rows and columns of the box are those of the image from 4 to 10 and from 6 to 19.
    images[0, :, 4:11, 6:20] = 1.0
    images[1, :, 14:20, 0:6] = 1.0
    images[2] = torch.rand(3, 20, 30)
    cropped = crop_to_salient(images, saliency, size=16)
    assert cropped.shape == (3, 3, 16, 16)
    torch.testing.assert_close(cropped[:2], torch.ones(2, 3, 16, 16))
    # Nothing is salient in the last one, which is shown whole.
    assert cropped[2].mean().item() == pytest.approx(images[2].mean().item(), abs=0.02)
    one_more = images.clone()
    one_more[0, :, 3] = one_more[0, :, 11] = 5.0
    torch.testing.assert_close(crop_to_salient(one_more, saliency, size=16)[0], cropped[0])
