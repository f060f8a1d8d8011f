"""Foregrounds stand on other images' backgrounds, of which no foreground is left."""

from __future__ import annotations

import jaxtyping
import pytest
import torch
from PIL import Image
from two_processes import run

from unconfound.data.compose.cropped_photographs import CroppedPhotographs
from unconfound.functional.distributed import world
from unconfound.views.backgrounds import exchange_backgrounds, exchanged
from unconfound.views.inpainting import inpaint
from unconfound.views.layers import layers_of


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _batch(count=6, *, height=9, width=8):
    """Images of one colour, 0.1, 0.2, ..., with a white foreground of three pixels' width each."""
    images = torch.arange(1, count + 1).view(-1, 1, 1, 1).expand(count, 3, height, width) / 10
    masks = torch.zeros(count, 1, height, width, dtype=torch.bool)
    masks[:, :, 2:7, 3:6] = True
    return torch.where(masks, 1.0, images), masks


def _given(exchanged):
    """Which image gave each background, by its colour."""
    return (exchanged[:, 0, 0, 0] * 10).round().long() - 1


@pytest.mark.parametrize("fill", ["inpaint", "mean"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_each_foreground_stands_on_the_background_of_its_donor(fill, dtype):
    pixels = torch.randint(0, 256, (4, 3, 6, 5), generator=_generator())
    images = pixels.to(torch.uint8) if dtype == torch.uint8 else pixels.double() / 255
    masks = torch.rand(4, 1, 6, 5, generator=_generator(1)) < 0.4
    donors = torch.tensor([2, 0, 3, 3])
    made = exchanged(layers_of(images, masks, fill=fill), donors=donors)
    if fill == "inpaint":
        assert torch.equal(made, exchange_backgrounds(images, masks, donors=donors))
    assert made.dtype == (torch.float32 if dtype == torch.uint8 else torch.float64)
    inpainted = inpaint(pixels.double() / 255, masks)
    for sample, donor in enumerate(donors.tolist()):
        for channel in range(3):
            given = pixels[donor, channel] / 255
            colour = given[~masks[donor, 0]].mean()
            for row in range(6):
                for column in range(5):
                    if masks[sample, 0, row, column]:
                        wanted = pixels[sample, channel, row, column] / 255
                    elif not masks[donor, 0, row, column]:
                        wanted = given[row, column]
                    else:
                        wanted = colour if fill == "mean" else inpainted[donor, channel, row, column]
                    assert made[sample, channel, row, column].item() == pytest.approx(wanted.item(), abs=1e-6)


def test_backgrounds_go_round_in_one_cycle_that_differs_from_draw_to_draw():
    images, masks = _batch()
    cycles = set()
    for seed in range(30):
        given = _given(exchange_backgrounds(images, masks, generator=_generator(seed))).tolist()
        met, at = [], 0
        for _ in range(6):
            met.append(at)
            at = given[at]
        assert at == 0
        assert sorted(met) == list(range(6))
        cycles.add(tuple(given))
    assert len(cycles) > 20


def test_equal_generators_give_equal_images_and_the_global_one_is_the_default():
    images, masks = _batch()
    options = {"share": 0.5, "rim": 1, "soft_edge": 1.0}
    first = exchange_backgrounds(images, masks, generator=_generator(3), **options)
    torch.manual_seed(3)
    assert torch.equal(exchange_backgrounds(images, masks, **options), first)


def test_a_share_of_the_images_changes():
    images, masks = _batch()
    assert torch.equal(exchange_backgrounds(images, masks, share=0.0), images)
    same = torch.cat(
        [
            _given(exchange_backgrounds(images, masks, share=0.25, generator=_generator(seed))) == torch.arange(6)
            for seed in range(400)
        ]
    )
    # Five standard deviations of 2400 draws.
    assert same.float().mean().item() == pytest.approx(0.75, abs=0.045)


def test_a_rim_hides_foregrounds_from_masks_that_are_too_narrow():
    images, masks = _batch()
    narrow = torch.zeros_like(masks)
    narrow[:, :, 3:6, 4:5] = True
    for seed in range(5):
        made = exchange_backgrounds(images, narrow, rim=1, soft_edge=0.5, generator=_generator(seed))
        # Wherever the mask does not reach, the background of another image is left, and no white.
        assert (made[:, :, :2] < 0.65).all()
        assert (made[:, :, 7:] < 0.65).all()
        assert (_given(made) != torch.arange(6)).all()
    assert (exchange_backgrounds(images, narrow)[:, :, 2] == 1).any()


def test_images_without_a_foreground_stay_and_nobody_gets_the_background_of_one_without():
    images, masks = _batch(4)
    masks[0] = False
    masks[2] = True
    made = exchange_backgrounds(images, masks, donors=torch.tensor([1, 2, 3, 0]))
    assert torch.equal(made[0], images[0])  # It has no foreground.
    assert torch.equal(made[1], images[1])  # Its donor has no background.
    assert torch.equal(made[2], images[2])  # It is all foreground.
    assert _given(made)[3] == 0


def test_half_of_the_images_stand_on_further_backgrounds():
    images, masks = _batch(200)
    further = torch.full_like(images, 30)
    made = exchange_backgrounds(images, masks, backgrounds=further, generator=_generator())
    theirs = made[:, 0, 0, 0] == 30
    # Five standard deviations of 200 draws.
    assert 64 < theirs.sum() < 136
    for way in (masks, ~masks):
        wanted = images if way is masks else further
        assert torch.equal(made.masked_fill(~way, 0)[theirs], wanted.masked_fill(~way, 0)[theirs])
    others = exchange_backgrounds(images, masks, generator=_generator())
    assert torch.equal(made[~theirs], others[~theirs])
    pixels = torch.full(images.shape, 51, dtype=torch.uint8)
    made = exchange_backgrounds(images, masks, backgrounds=pixels, generator=_generator())
    assert (made[theirs][:, :, 0, 0] == 0.2).all()


def test_grey_images_exchange_too():
    images, masks = _batch()
    grey = exchange_backgrounds(
        images[:, :1], masks, rim=1, backgrounds=torch.zeros_like(images[:, :1]), generator=_generator()
    )
    colours = exchange_backgrounds(images, masks, rim=1, backgrounds=torch.zeros_like(images), generator=_generator())
    assert torch.equal(grey, colours[:, :1])


def test_a_further_background_serves_where_the_donor_has_none():
    images, masks = _batch(40)
    masks[:20], given = True, 0
    donors = torch.arange(40).roll(20)
    for seed in range(5):
        made = exchange_backgrounds(
            images, masks, donors=donors, backgrounds=torch.zeros_like(images), generator=_generator(seed)
        )
        assert torch.equal(made[:20], images[:20])
        theirs = made[20:, 0, 0, 0] == 0
        given += int(theirs.sum())
        assert torch.equal(made[20:][~theirs], images[20:][~theirs])
    assert 25 < given < 75


def test_layers_serve_several_exchanges():
    images, masks = _batch()
    layers = layers_of(images, masks, rim=1, soft_edge=1.0)
    first, second = (exchanged(layers, share=0.5, generator=_generator(seed)) for seed in (0, 1))
    assert not torch.equal(first, second)
    for seed, made in enumerate((first, second)):
        alone = exchange_backgrounds(images, masks, share=0.5, rim=1, soft_edge=1.0, generator=_generator(seed))
        assert torch.equal(made, alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.rand(1, 3, 4, 4), "masks": torch.ones(1, 1, 4, 4) > 0}, "needs at least two images .* got 1"),
        ({"masks": torch.ones(2, 1, 4, 5) > 0}, r"masks have the shape \(2, 1, 4, 5\), the images \(2, 3, 4, 4\)"),
        ({"share": 1.5}, r"share is 1.5: it must be in \[0, 1\]"),
        ({"rim": -1}, "rim is -1 and soft_edge 0.0: both must be at least 0, and finite"),
        ({"soft_edge": float("nan")}, "soft_edge nan"),
        (
            {"backgrounds": torch.rand(2, 3, 5, 4)},
            r"backgrounds have the shape \(2, 3, 5, 4\), the images \(2, 3, 4, 4",
        ),
    ],
)
def test_bad_input_is_refused(changes, message):
    given = {"images": torch.rand(2, 3, 4, 4), "masks": torch.ones(2, 1, 4, 4) > 0} | changes
    images, masks = given.pop("images"), given.pop("masks")
    # Not by the checks of shapes, which users do not have.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match=message):
            exchange_backgrounds(images, masks, **given)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def _own_part(folder):
    rank, processes = world()
    images, masks = (each.chunk(processes)[rank] for each in _batch())
    photographs = CroppedPhotographs(folder, (3, 9, 8))
    made = []
    for seed in range(4):
        generator = _generator(seed)
        backgrounds = photographs.draw(len(images), generator=generator)
        options = {"share": 0.7, "rim": 1, "soft_edge": 1.0, "generator": generator}
        made.append(exchange_backgrounds(images, masks, backgrounds=backgrounds, **options))
    return torch.stack(made, 1)


def test_two_processes_exchange_within_the_whole_batch(tmp_path):
    for number in range(3):
        Image.new("RGB", (20, 20), (0, 0, 50 * number)).save(tmp_path / f"{number}.png")
    parts = run(_own_part, tmp_path, tmp_path)
    whole = _own_part(tmp_path)
    assert torch.equal(torch.cat(parts), whole)
    # Photographs alone are black in the first channel.
    assert 0 < (whole[:, :, 0, 0, 0] == 0).sum() < 24
