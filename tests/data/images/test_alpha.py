"""The alpha channel of images as their masks: when it is one, what it says, and what is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.images.decoding import UnreadableImageError, decode_alpha, has_transparent_parts
from unconfound.data.load import load_dataset

pytestmark = pytest.mark.usefixtures("own_cache")
NOTE = "the alpha channel of the images is taken as their masks: opaque parts are foreground"
SWAPS = {"original", "mixed-same", "mixed-rand", "only-foreground", "only-background"}


def _cut_out(number, *, mode="RGBA", side=16):
    """A square whose place is its number on transparent ground; the ground is black where it cannot be seen."""
    pixels = np.zeros((side, side, 4), np.uint8)
    top, left = 2 + number % 4, 3 + number // 4 % 4
    pixels[top : top + 8, left : left + 6] = (200, 100 + number, 50, 255)
    return Image.fromarray(pixels).convert(mode), pixels[..., 3] > 0


def _write(folder, images):
    for number, image in enumerate(images):
        path = folder / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_opaque_parts_are_the_masks_of_cut_out_images(tmp_path, memory):
    cut = [_cut_out(number) for number in range(12)]
    dataset = load_dataset(
        _write(tmp_path / "cut", [image for image, _ in cut]), memory_gib=memory, workers=0, test_share=0.5
    )
    assert NOTE in dataset.train.notes
    batch = _all(dataset.train)
    for name, image, mask in zip(dataset.train.names, batch.inputs, batch.masks, strict=True):
        wanted = torch.from_numpy(cut[int(name[-6:-4])][1])
        assert torch.equal(mask[0], wanted)
        assert (image[:, ~wanted] == 255).all()
    assert set(dataset.tests) == (SWAPS if memory else {"test"})


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_images_of_other_modes_have_opaque_parts_too(tmp_path, mode):
    image, mask = _cut_out(3)
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8), "P")
        image.putpalette([255, 255, 255, 200, 30, 30])
        image.info["transparency"] = 0
    else:
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    assert has_transparent_parts(tmp_path / "a.png")
    assert (decode_alpha(tmp_path / "a.png", 16)[0] == mask).all()


def test_a_mask_turns_and_is_cut_as_its_image_is(tmp_path):
    pixels = np.zeros((16, 32, 4), np.uint8)
    pixels[:, 10:14] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    mask = decode_alpha(tmp_path / "a.png", 8)[0]
    wanted = np.zeros((8, 8), bool)
    wanted[1:3] = True
    assert (mask == wanted).all()


def test_a_constant_alpha_channel_says_nothing(tmp_path):
    for opacity in (255, 200, 0):
        Image.new("RGBA", (8, 8), (1, 2, 3, opacity)).save(tmp_path / "a.png")
        assert not has_transparent_parts(tmp_path / "a.png")
        assert not decode_alpha(tmp_path / "a.png", 8).any()
    images = [Image.new("RGBA", (16, 16), (number, 0, 0, 255)) for number in range(8)]
    dataset = load_dataset(_write(tmp_path / "opaque", images))
    assert _all(dataset.train).masks is None
    assert not any("alpha" in note or "transparent" in note for note in dataset.train.notes)


def test_opaque_images_among_cut_out_ones_have_no_mask(tmp_path):
    images = [_cut_out(number)[0] for number in range(11)] + [Image.new("RGB", (16, 16))]
    dataset = load_dataset(_write(tmp_path / "most", images), test_share=0.0)
    assert NOTE in dataset.train.notes
    assert "1 of 12 images are opaque or clear all over: they have no mask" in dataset.train.notes
    assert _all(dataset.train).masks.flatten(1).any(1).sum() == 11


def test_few_cut_out_images_are_told_and_no_more(tmp_path):
    images = [_cut_out(0)[0]] + [Image.new("RGB", (16, 16), (number, 0, 0)) for number in range(11)]
    dataset = load_dataset(_write(tmp_path / "few", images))
    assert _all(dataset.train).masks is None
    assert (
        "1 of 12 images looked at have transparent parts, which show white: they are too few to be taken as masks"
        in (dataset.train.notes)
    )


def test_a_folder_of_masks_counts_more(tmp_path):
    cut = [_cut_out(number) for number in range(12)]
    folder = _write(tmp_path / "cut", [image for image, _ in cut])
    masks = _write(tmp_path / "masks", [Image.fromarray(~mask) for _, mask in cut])
    dataset = load_dataset(folder, masks=masks)
    assert NOTE not in dataset.train.notes
    assert _all(dataset.train).masks[:, 0, 0, 0].all()
    kept = load_dataset(folder, masks="estimate")
    assert kept.mask_note.startswith("the masks that come with the data are kept")


def test_damaged_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    for read in (lambda path: decode_alpha(path, 8), has_transparent_parts):
        with pytest.raises(UnreadableImageError, match="not an image, or damaged at its beginning"):
            read(tmp_path / "a.png")
