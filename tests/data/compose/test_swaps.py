from __future__ import annotations

import numpy as np
import pytest
import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.compose.swaps import foreground_only, in_memory, swaps
from unconfound.data.core.subset import Subset


def toy(count: int = 60, classes: int = 3, *, floats: bool = False, **options: object) -> MemorySource:
    """Foreground and background of image n have the values 200 + n % 50 and n, so every pixel names its donor."""
    masks = torch.zeros(count, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 2:4, 1:5] = True
    number = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    images = torch.where(masks, 200 + number % 50, number).expand(-1, 3, -1, -1).contiguous()
    values: dict = {
        "labels": torch.arange(count) % classes,
        "groups": torch.arange(count) % 2,
        "masks": masks,
        **options,
    }
    names = tuple("abcdef"[:classes])
    return MemorySource("toy", Schema("images", (3, 6, 6), names), images.float() / 255 if floats else images, **values)


def donors(source: MemorySource) -> torch.Tensor:
    """Which image gave the background, from its corner."""
    corner = source.inputs[:, 0, 0, 0]
    return (corner * 255).round().long() if corner.is_floating_point() else corner.long()


@pytest.mark.parametrize("floats", [False, True])
def test_what_each_set_shows(floats: bool) -> None:
    source = toy(floats=floats)
    sets = swaps(source, seed=1)
    assert list(sets) == ["original", "mixed-same", "mixed-rand", "only-foreground", "only-background"]
    itself, masks = torch.arange(60), source.masks.expand(-1, 3, -1, -1)
    assert sets["original"].inputs.equal(source.inputs)
    for name in ("mixed-same", "mixed-rand", "only-foreground"):
        assert sets[name].inputs[masks].equal(source.inputs[masks]), name
        assert sets[name].masks.equal(source.masks)
    for name in sets:
        assert sets[name].labels.equal(source.labels)
        assert sets[name].groups.equal(source.groups)
        assert sets[name].inputs.dtype == source.inputs.dtype
    same, rand = donors(sets["mixed-same"]), donors(sets["mixed-rand"])
    assert (source.labels[same] == source.labels).all()
    assert not (same == itself).any()
    assert not (rand == itself).any()
    for name, donor in (("mixed-same", same), ("mixed-rand", rand), ("only-background", itself)):
        expected = source.inputs[donor, 0, 0, 0].reshape(-1, 1, 1, 1).expand(-1, 3, 6, 6)
        shown = torch.ones_like(masks) if name == "only-background" else ~masks
        assert sets[name].inputs[shown].equal(expected[shown]), name
    assert (sets["only-foreground"].inputs[~masks] == 0).all()
    assert not sets["only-background"].masks.any()


def test_random_backgrounds_come_from_every_class_alike() -> None:
    source = toy(200, 4)
    found = torch.zeros(4, 4)
    for seed in range(15):
        rand = donors(swaps(source, seed=seed)["mixed-rand"])
        found.index_put_((source.labels, source.labels[rand]), torch.ones(200), accumulate=True)
    assert (found - 3000 / 16).abs().max() < 5 * (3000 / 16) ** 0.5


def test_the_seed_decides() -> None:
    first, again, other = (swaps(toy(), seed=seed)["mixed-rand"] for seed in (0, 0, 1))
    assert first.inputs.equal(again.inputs)
    assert not first.inputs.equal(other.inputs)


def test_holes_are_filled_from_the_nearest_background() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 9, 9), generator=generator, dtype=torch.uint8)
    masks = torch.rand(4, 1, 9, 9, generator=generator) > 0.4
    source = MemorySource(
        "toy", Schema("images", (3, 9, 9), ("a", "b")), images, torch.tensor([0, 0, 1, 1]), masks=masks
    )
    filled = swaps(source)["only-background"].inputs
    rows, columns = np.mgrid[:9, :9]
    for sample in range(4):
        mask = masks[sample, 0].numpy()
        for row, column in zip(*np.nonzero(mask), strict=True):
            distance = np.where(mask, np.inf, (rows - row) ** 2 + (columns - column) ** 2)
            nearest = images[sample][:, torch.from_numpy(distance == distance.min())]
            assert (filled[sample, :, row, column, None] == nearest).all(0).any()
        assert filled[sample][:, ~masks[sample, 0]].equal(images[sample][:, ~masks[sample, 0]])


def test_an_image_that_is_all_foreground_gives_no_background() -> None:
    source = toy()
    source.masks[7] = True
    source.masks[8] = False
    for seed in range(5):
        sets = swaps(source, seed=seed)
        assert not (donors(sets["mixed-same"])[torch.arange(60) != 7] == 7).any()
        assert sets["mixed-same"].inputs[7].equal(source.inputs[7])
        assert (sets["only-background"].inputs[7] == 0).all()
    assert any("1 images have no background" in note for note in sets["original"].notes)
    assert any("1 images have no foreground" in note for note in sets["original"].notes)


def test_a_subset_of_memory_works() -> None:
    positions = torch.arange(59, -1, -2)
    sets = swaps(Subset(toy(), positions))
    assert sets["original"].inputs.equal(toy().inputs[positions])
    assert foreground_only(Subset(toy(), positions)).masks.equal(toy().masks[positions])
    assert in_memory(Subset(toy(masks=None), positions)) is None


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (toy(masks=None), "has no masks in memory"),
        (toy(labels=None), "without a label"),
        (toy(labels=torch.arange(60) % 3 - 1), "without a label"),
        (toy(4, 3), "the class 'b' has 1 images with a background"),
        (MemorySource("rows", Schema("tables", (4,)), torch.zeros(2, 4)), "holds tables"),
    ],
)
def test_sources_that_cannot_be_swapped(source: MemorySource, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        swaps(source)
