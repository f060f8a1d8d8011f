from __future__ import annotations

import torch

from unconfound.views import cut_out


def test_foregrounds_are_centred_and_averaged():
    images = torch.full((2, 3, 8, 8), 204, dtype=torch.uint8)
    masks = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    # The second one of four pixels by two fills half of the middle.
    masks[0, :, 0:4, 0:4] = True
    masks[1, :, 5:7, 1:5] = True
    cut = cut_out(images, masks, side=4)
    assert cut.shape == (2, 4, 4, 4)
    square, strip = torch.zeros(4, 4), torch.zeros(4, 4)
    square[1:3, 1:3], strip[1:3, 1:3] = 1, 0.5
    torch.testing.assert_close(cut[:, 0], torch.stack([square, strip]))
    torch.testing.assert_close(cut[:, 1:], 0.8 * cut[:, :1].expand(-1, 3, -1, -1))


def test_the_background_plays_no_part_and_an_empty_mask_shows_nothing():
    generator = torch.Generator().manual_seed(0)
    images, others = torch.rand(2, 3, 1, 10, 7, generator=generator)
    masks = torch.rand(3, 1, 10, 7, generator=generator) < 0.3
    masks[2] = False
    cut = cut_out(images, masks, side=5)
    assert torch.equal(cut, cut_out(torch.where(masks, images, others), masks, side=5))
    assert cut[2].count_nonzero() == 0
    assert cut[:2].min() >= 0
    assert cut[:2, 0].max() > 0.2
