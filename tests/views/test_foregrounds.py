from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from unconfound.views import ForegroundViewOptions, ForegroundViews
from unconfound.views.inpainting import inpaint

STILL = ForegroundViewOptions(jitter=(0.0, 0.0, 0.0, 0.0), turn=0.0, scale=(1.0, 1.0), shear=0.0, shift=0.0)


def _images(batch=6, *, channels=3, seed=0):
    """Noise, with a square in the middle as the foreground: nothing moves it but a shift."""
    images = torch.rand(batch, channels, 8, 8, generator=torch.Generator().manual_seed(seed))
    masks = torch.zeros(batch, 1, 8, 8, dtype=torch.bool)
    masks[:, :, 2:6, 2:6] = True
    return images, masks


def _donors(views, images, masks):
    """Find whose background each view has."""
    filled, outside = inpaint(images, masks), ~masks[0, 0]
    distance = (views[:, None] - filled[None])[..., outside].abs().amax((2, 3))
    assert (distance < 1e-5).sum(1).eq(1).all()
    return distance.argmin(1)


def test_foregrounds_stand_on_the_background_of_another_image_drawn_for_each_view():
    images, masks = _images(7)
    torch.manual_seed(0)
    views = ForegroundViews(STILL)(images, masks, count=3)
    assert views.shape == (21, 3, 8, 8)
    where = masks.repeat(3, 1, 1, 1)
    torch.testing.assert_close(views * where, (images * masks).repeat(3, 1, 1, 1))
    donors = [_donors(each, images, masks) for each in views.chunk(3)]
    for each in donors:
        assert sorted(each.tolist()) == list(range(7))
        assert (each != torch.arange(7)).all()
    assert len({tuple(each.tolist()) for each in donors}) == 3


def test_equal_generators_give_equal_views_of_bytes_and_of_numbers():
    images, masks = _images()
    pixels = (255 * images).round().to(torch.uint8)
    first, second, third = (
        ForegroundViews()(given, masks, torch.Generator().manual_seed(seed))
        for given, seed in ((pixels, 1), (pixels / 255, 1), (pixels, 2))
    )
    torch.testing.assert_close(first, second)
    assert (first != third).flatten(1).any(1).all()
    assert first.min() >= 0
    assert first.max() <= 1


def test_colours_of_the_foreground_change_and_those_of_the_background_do_not():
    images, masks = _images()
    options = ForegroundViewOptions(turn=0.0, scale=(1.0, 1.0), shear=0.0, shift=0.0)
    views = ForegroundViews(options)(images, masks, torch.Generator().manual_seed(0), count=1)
    _donors(views, images, masks)
    changed = (views - images).abs() * masks
    assert (changed.amax((1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_empty_mask_and_a_full_one(channels):
    images, masks = _images(channels=channels)
    masks[0], masks[1] = False, True
    views = ForegroundViews(STILL)(images, masks, torch.Generator().manual_seed(0), count=8).unflatten(0, (8, 6))
    torch.testing.assert_close(views[:, 0], images[0].expand(8, -1, -1, -1))
    torch.testing.assert_close(views[:, 1], images[1].expand(8, -1, -1, -1))
    # None stands on the background of the one that has none.
    assert (views[:, 2:] * ~masks[2:] > 0).flatten(2).any(2).all()


def test_colours_of_the_foreground_do_not_depend_on_its_own_background():
    images, masks = _images()
    options = ForegroundViewOptions(jitter=(0.4, 0.4, 0.4, 0.5), turn=0.0, scale=(1.0, 1.0), shear=0.0, shift=0.0)
    first, second = (
        ForegroundViews(options)(given, masks, torch.Generator().manual_seed(0)) * masks.repeat(2, 1, 1, 1)
        for given in (images, torch.where(masks, images, images / 4))
    )
    torch.testing.assert_close(first, second)


def test_rims_and_soft_edges_are_drawn_for_each_view():
    images, masks = (F.pad(each, (2, 2, 2, 2)) for each in _images())
    options = ForegroundViewOptions(
        jitter=STILL.jitter, turn=0.0, scale=(1.0, 1.0), shear=0.0, shift=0.0, rim=1, soft_edge=1.0
    )
    views = ForegroundViews(options)(torch.ones_like(images), masks, torch.Generator().manual_seed(0))
    torch.testing.assert_close(views, torch.ones_like(views))
    first, second = ForegroundViews(options)(images * masks, masks, torch.Generator().manual_seed(0)).chunk(2)
    assert (first != second).flatten(1).any(1).all()


def test_what_is_refused():
    images, masks = _images()
    with pytest.raises(ValueError, match="needs at least two images in a batch, got 1"):
        ForegroundViews()(images[:1], masks[:1])
    with pytest.raises(ValueError, match=r"masks have the shape \(6, 1, 4, 4\)"):
        ForegroundViews()(images, masks[..., :4, :4])
    with pytest.raises(ValueError, match="jitter must be"):
        ForegroundViewOptions(jitter=(0.1, 0.1, 0.1, 0.6))
    with pytest.raises(ValueError, match=r"scale is \(2.0, 1.0\): it must be \(lowest, highest\)"):
        ForegroundViewOptions(scale=(2.0, 1.0))
