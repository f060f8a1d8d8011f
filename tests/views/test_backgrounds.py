from __future__ import annotations

import pytest
import torch

from unconfound.views.backgrounds import exchange_backgrounds


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_each_foreground_stands_on_the_background_before_it(dtype):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 3, 6, 5), generator=generator)
    images = pixels.to(torch.uint8) if dtype == torch.uint8 else pixels.double() / 255
    masks = torch.rand(3, 1, 6, 5, generator=generator) < 0.4
    exchanged = exchange_backgrounds(images, masks)
    for sample in range(3):
        before = (sample - 1) % 3
        for channel in range(3):
            source = pixels[before, channel] / 255
            colour = source[~masks[before, 0]].mean()
            for row in range(6):
                for column in range(5):
                    if masks[sample, 0, row, column]:
                        wanted = pixels[sample, channel, row, column] / 255
                    elif masks[before, 0, row, column]:
                        wanted = colour
                    else:
                        wanted = source[row, column]
                    assert exchanged[sample, channel, row, column].item() == pytest.approx(wanted.item(), abs=1e-6)


def test_a_mask_of_the_whole_image_gives_black_to_the_next():
    images = torch.ones(2, 1, 4, 4)
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    masks[0] = True
    exchanged = exchange_backgrounds(images, masks)
    assert torch.equal(exchanged[0], images[0])
    assert (exchanged[1] == 0).all()


def test_one_image_has_no_other_background():
    with pytest.raises(ValueError, match="needs at least two images in a batch, got 1"):
        exchange_backgrounds(torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.bool))
