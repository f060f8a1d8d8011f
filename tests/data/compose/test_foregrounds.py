from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import MemorySource, Schema
from unconfound.data.compose import foregrounds
from unconfound.data.compose.foregrounds import Foregrounds


def some(count: int = 12, channels: int = 1, height: int = 7, width: int = 5, seed: int = 0) -> Foregrounds:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)
    masks = torch.rand(count, 1, height, width, generator=generator) > 0.4
    return Foregrounds(images, masks, torch.arange(count) % 3)


def source_of(images: torch.Tensor, **options: object) -> MemorySource:
    options = {"labels": torch.zeros(len(images), dtype=torch.long), **options}
    return MemorySource("toy", Schema("images", tuple(images.shape[1:]), ("a",)), images, **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_placing_moves_and_changes_nothing(channels: int) -> None:
    cut_out = some(200, channels)
    placed = foregrounds.place(cut_out, size=9, rng=np.random.default_rng(0))
    tops, lefts = set(), set()
    for sample in range(200):
        matches = [
            (top, left)
            for top in range(3)
            for left in range(5)
            if (placed.images[sample, :, top : top + 7, left : left + 5] == cut_out.images[sample]).all()
            and placed.masks[sample, :, top : top + 7, left : left + 5].equal(cut_out.masks[sample])
        ]
        assert len(matches) == 1
        tops.add(matches[0][0])
        lefts.add(matches[0][1])
    assert (tops, lefts) == (set(range(3)), set(range(5)))
    assert placed.masks.sum().equal(cut_out.masks.sum())
    assert (placed.images > 0).sum() == (cut_out.images > 0).sum() * 3 // channels


def test_a_foreground_must_fit() -> None:
    with pytest.raises(ValueError, match="5 x 7 pixels does not fit into 6 x 6"):
        foregrounds.place(some(), size=6, rng=np.random.default_rng(0))


def test_tints_are_bright_and_of_every_hue() -> None:
    white = Foregrounds(
        torch.full((2000, 3, 1, 1), 255, dtype=torch.uint8),
        torch.ones(2000, 1, 1, 1, dtype=torch.bool),
        torch.zeros(2000, dtype=torch.long),
    )
    colours = foregrounds.tint(white, rng=np.random.default_rng(0)).images[:, :, 0, 0].numpy() / 255
    hue, saturation, value = np.array([colorsys.rgb_to_hsv(*colour) for colour in colours.tolist()]).T
    assert value.min() > 0.795
    assert 0.39 < saturation.min() < 0.43
    assert saturation.max() > 0.97
    counts, _ = np.histogram(hue, bins=6, range=(0, 1))
    assert (np.abs(counts - 2000 / 6) < 5 * np.sqrt(2000 / 6)).all()


def test_a_tint_scales_brightness() -> None:
    grey = some(8, 1, 9, 9)
    placed = foregrounds.place(grey, size=9, rng=np.random.default_rng(0))
    tinted = foregrounds.tint(placed, rng=np.random.default_rng(1)).images.double()
    ratio = tinted / placed.images.double()
    brightest = placed.images[:, :1].flatten(1).argmax(1)
    factor = ratio.flatten(2)[torch.arange(8), :, brightest][..., None, None]
    assert (tinted - factor * placed.images.double()).abs().max() < 1.6


def test_resizing_keeps_proportions_and_masks_binary() -> None:
    block = torch.zeros(1, 1, 4, 8, dtype=torch.bool)
    block[..., 2:6] = True
    resized = foregrounds.resize(Foregrounds(block.byte() * 200, block, torch.zeros(1, dtype=torch.long)), 24)
    assert resized.images.shape == (1, 1, 12, 24)
    assert resized.masks[0, 0].all(0).nonzero().flatten().tolist() == list(range(6, 18))
    same = some()
    assert foregrounds.resize(same, 7).images.equal(same.images)


@pytest.mark.parametrize("size", [5, 11, 23])
def test_resizing_together_is_resizing_one_by_one(size: int) -> None:
    cut_out = some(5, 3, height=8, width=6)
    resized = foregrounds.resize(cut_out, size).images
    for image, expected in zip(cut_out.images.flatten(0, 1), resized.flatten(0, 1), strict=True):
        alone = Image.fromarray(image.numpy()).resize(tuple(expected.shape[::-1]), Image.Resampling.BICUBIC)
        assert expected.equal(torch.from_numpy(np.asarray(alone).copy()))


def test_reading_from_a_source() -> None:
    images = torch.tensor([0, 32, 33, 255], dtype=torch.uint8).reshape(1, 1, 2, 2).repeat(3, 1, 1, 1)
    grey = foregrounds.read_foregrounds(source_of(images))
    assert grey.masks[0].flatten().tolist() == [False, False, True, True]
    floats = foregrounds.read_foregrounds(source_of(images.float() / 255))
    assert floats.images.equal(images)
    masks = torch.tensor([True, False, False, True]).reshape(1, 1, 2, 2).repeat(3, 1, 1, 1)
    given = foregrounds.read_foregrounds(source_of(images.expand(-1, 3, -1, -1), masks=masks))
    assert given.masks.equal(masks)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (source_of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)), "colour images without masks"),
        (source_of(torch.zeros(2, 2, 4, 4, dtype=torch.uint8)), "has 2 channels"),
        (source_of(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), labels=None), "without a label"),
        (
            source_of(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), labels=torch.tensor([0, -1])),
            "without a label",
        ),
        (MemorySource("rows", Schema("tables", (4,)), torch.zeros(2, 4)), "holds tables"),
    ],
)
def test_sources_without_foregrounds(source: MemorySource, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        foregrounds.read_foregrounds(source)
