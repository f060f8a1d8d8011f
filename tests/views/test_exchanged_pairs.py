"""Two images exchange their backgrounds."""

from __future__ import annotations

import torch

from unconfound.views.backgrounds import exchange_backgrounds
from unconfound.views.exchanged_pairs import exchanged_pairs, neither_empty_nor_full
from unconfound.views.inpainting import inpaint


def _batch(count=5):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 6, 7, generator=generator, dtype=torch.float64)
    return images, torch.rand(count, 1, 6, 7, generator=generator) < 0.4


def test_each_foreground_stands_on_the_background_of_the_other_image():
    images, masks = _batch()
    partners = torch.tensor([[1, 4], [0, 2], [3, 3], [1, 0], [2, 1]])
    own, other = exchanged_pairs(images, masks, partners)
    filled = inpaint(images, masks)
    assert own.shape == other.shape == (5, 2, 3, 6, 7)
    for i, row in enumerate(partners.tolist()):
        for place, j in enumerate(row):
            for pixel in range(42):
                y, x = divmod(pixel, 7)
                wanted = (images[i] if masks[i, 0, y, x] else filled[j])[:, y, x]
                torch.testing.assert_close(own[i, place, :, y, x], wanted)
                wanted = (images[j] if masks[j, 0, y, x] else filled[i])[:, y, x]
                torch.testing.assert_close(other[i, place, :, y, x], wanted)


def test_own_pictures_are_those_of_an_exchange():
    images, masks = _batch()
    donors = torch.tensor([1, 0, 3, 4, 2])
    own, _ = exchanged_pairs(images, masks, donors[:, None])
    torch.testing.assert_close(own[:, 0], exchange_backgrounds(images, masks, donors=donors))


def test_what_one_gives_the_other_takes():
    images, masks = _batch(2)
    own, other = exchanged_pairs(images, masks, torch.tensor([[1], [0]]))
    assert torch.equal(own[0], other[1])
    assert torch.equal(own[1], other[0])


def test_no_partner_leaves_the_others_as_they_are():
    images, masks = _batch()
    partners = torch.tensor([[1], [0], [-1], [4], [3]])
    there = exchanged_pairs(images, masks, partners)
    every = exchanged_pairs(images, masks, partners.clamp_min(0))
    for some, all_of_them in zip(there, every, strict=True):
        assert torch.equal(some[[0, 1, 3, 4]], all_of_them[[0, 1, 3, 4]])


def test_empty_and_full_masks_leave_nothing_to_exchange():
    masks = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    masks[1, :, 0, 0] = True
    masks[2] = True
    assert neither_empty_nor_full(masks).tolist() == [False, True, False]
