"""Crops of a folder of photographs: where they come from, how many are held, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.compose import cropped_photographs
from unconfound.data.compose.cropped_photographs import CroppedPhotographs


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def folder(tmp_path):
    """Three photographs of one colour each, of three shapes, one in a folder below, and a file of another kind."""
    for number, (name, size) in enumerate((("a.png", (50, 40)), ("b.jpg", (30, 90)), ("below/c.webp", (400, 20)))):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (80 * number, 80 * number, 250)).save(path)
    (tmp_path / "photographs" / "notes.txt").write_text("no photograph")
    return tmp_path / "photographs"


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 8, 20), (1, 16, 16)])
def test_every_photograph_gives_crops_of_the_size_asked_for(folder, shape):
    photographs = CroppedPhotographs(folder, shape)
    assert len(photographs) == 3
    crops = photographs.draw(300, generator=_generator())
    assert crops.shape == (300, *shape)
    assert crops.dtype == torch.uint8
    levels, counts = crops.flatten(1).float().mean(1).round().unique(return_counts=True)
    assert len(levels) == 3
    # Five standard deviations of 300 draws.
    assert ((counts - 100).abs() < 41).all()
    assert photographs.notes == [f"backgrounds come from 3 photographs in {folder}"]


def test_crops_are_windows_of_the_photograph_in_three_sizes(tmp_path):
    across = np.tile(np.arange(0, 200, dtype=np.uint8), (100, 1))
    Image.fromarray(np.stack([across, across.T[:100, :100].repeat(2, 1), across], 2)).save(tmp_path / "slope.png")
    crops = CroppedPhotographs(tmp_path, (3, 20, 20)).draw(400, generator=_generator()).float()
    spans = crops[:, 0, 10, -1] - crops[:, 0, 10, 0]
    # A crop of 80, 65 or 50 pixels of the shorter side, 19 of its 20 pixels from end to end.
    for zoom in (0.8, 0.65, 0.5):
        near = (spans - 100 * zoom * 19 / 20).abs() < 2.5
        assert 80 < near.sum() < 190
    assert crops[:, 0, 10, 0].min() < 5
    assert crops[:, 0, 10, -1].max() > 194


def test_draws_depend_on_the_generator_alone(folder):
    first, second = (CroppedPhotographs(folder, (3, 16, 16)) for _ in range(2))
    assert torch.equal(first.draw(9, generator=_generator(4)), second.draw(9, generator=_generator(4)))
    torch.manual_seed(4)
    assert torch.equal(second.draw(9), first.draw(9, generator=_generator(4)))


def test_what_is_held_is_bounded(tmp_path, monkeypatch):
    for number in range(30):
        Image.new("L", (40, 40), number).save(tmp_path / f"{number:02}.png")
    monkeypatch.setattr(cropped_photographs, "MOST", 7)
    photographs = CroppedPhotographs(tmp_path, (1, 8, 8))
    assert len(photographs) == 7
    assert photographs.notes == [f"backgrounds come from 7 photographs in {tmp_path}, evenly spaced among 30"]
    shown = photographs.draw(200, generator=_generator()).flatten(1).float().mean(1).unique().tolist()
    assert shown == [0, 4, 9, 14, 19, 24, 29]
    monkeypatch.setattr(cropped_photographs, "MOST_BYTES", 4000)
    few = CroppedPhotographs(tmp_path, (1, 8, 8))
    assert 1 <= len(few) < 7
    assert sum(level.nbytes for levels in few._levels for level in levels) <= 4000


def test_transparent_parts_are_white_and_pictures_stand_upright(tmp_path):
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (CroppedPhotographs(tmp_path, (3, 8, 8)).draw(3) == 255).all()
    turned = Image.new("L", (20, 40))
    turned.paste(200, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "clear.png", exif=exif)
    left = CroppedPhotographs(tmp_path, (1, 8, 16)).draw(20)[:, 0].float()
    # Bright above dark becomes dark beside bright.
    assert (left.std(1) < 2).all()


def test_damaged_photographs_are_left_out_and_named(folder):
    (folder / "d.png").write_bytes(b"nothing")
    photographs = CroppedPhotographs(folder, (3, 8, 8))
    assert len(photographs) == 3
    assert photographs.notes[1].startswith(
        f"1 photographs in {folder} cannot be read and are left out: d.png (not an image, or damaged"
    )


def test_folders_with_nothing_to_read_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of photographs at "):
        CroppedPhotographs(tmp_path / "nowhere", (3, 8, 8))
    with pytest.raises(ValueError, match=r"no photograph in .*: expected \.bmp, "):
        CroppedPhotographs(tmp_path, (3, 8, 8))
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 photographs in .* can be read: a\.png \("):
        CroppedPhotographs(tmp_path, (3, 8, 8))
    with pytest.raises(ValueError, match="photographs have 3 channels, or 1 of brightness: the images have 4"):
        CroppedPhotographs(tmp_path, (4, 8, 8))
