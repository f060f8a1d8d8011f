from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from unconfound.data.compose import photographs
from unconfound.data.compose.photographs import Scene


def numbered(height: int, width: int) -> np.ndarray:
    """A photograph in which every pixel is different."""
    number = np.arange(height * width).reshape(height, width)
    return np.stack([number // 65536, number // 256 % 256, number % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (64, 64)])
@pytest.mark.parametrize("stripes", [1, 2, 3])
def test_no_pixel_is_in_both_splits_and_none_is_lost(shape: tuple[int, int], stripes: int) -> None:
    photograph = numbered(*shape)
    scene = photographs.cut([photograph], stripes=stripes)
    train, test = (
        {tuple(pixel) for region in regions for pixel in region.reshape(-1, 3).tolist()}
        for regions in (scene.train, scene.test)
    )
    assert not train & test
    assert len(train) + len(test) == shape[0] * shape[1]
    assert len(train) / (shape[0] * shape[1]) == pytest.approx(0.6, abs=0.03)
    assert len(scene.train) == len(scene.test) == stripes


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"train_share": 0.0}, "train_share is 0.0"),
        ({"train_share": 1.0}, "train_share is 1.0"),
        ({"stripes": 0}, "needs photographs"),
        ({"stripes": 9}, "too small"),
    ],
)
def test_cuts_that_cannot_be(options: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        photographs.cut([numbered(10, 10)], **options)


def test_a_scene_needs_a_photograph() -> None:
    with pytest.raises(ValueError, match="needs photographs"):
        photographs.cut([])


def test_crops_are_windows_of_their_own_scene_and_split() -> None:
    """Regions of one colour each: a crop shows the colour of its scene and split, and nothing else."""
    flat = [
        Scene(
            tuple(np.full((40, 50, 3), 10 * scene + piece, np.uint8) for piece in range(3)),
            tuple(np.full((40, 30, 3), 100 + 10 * scene + piece, np.uint8) for piece in range(3)),
        )
        for scene in range(4)
    ]
    which = np.random.default_rng(0).integers(4, size=300)
    for split, base in (("train", 0), ("test", 100)):
        drawn = photographs.crops(flat, which, split=split, size=16, rng=np.random.default_rng(1)).numpy()
        values = drawn.reshape(300, -1)
        assert (values == values[:, :1]).all()
        assert ((values[:, 0] - base) // 10 == which).all()
        assert set((values[:, 0] - base) % 10) == {0, 1, 2}


def test_a_crop_shows_the_stated_share_of_the_region() -> None:
    """On a ramp whose value is the column, the range of a crop's values is its width in pixels of the photograph."""
    ramp = np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (100, 250, 3)).copy()
    scene = Scene((ramp,), (ramp,))
    drawn = photographs.crops(
        [scene], np.zeros(400, np.int64), split="train", size=20, rng=np.random.default_rng(0)
    ).numpy()
    widths = drawn[:, 0].max((1, 2)).astype(float) - drawn[:, 0].min((1, 2))
    expected = np.array([share * 100 * 19 / 20 for share in photographs.ZOOMS])
    nearest = np.abs(widths[:, None] - expected).argmin(1)
    assert np.abs(widths - expected[nearest]).max() < 4
    assert (np.bincount(nearest) > 90).all()
    assert drawn[:, 0].min() < 10
    assert drawn[:, 0].max() > 239


def test_crops_repeat_with_the_seed_only() -> None:
    scene = photographs.cut([numbered(80, 100)])
    which = np.zeros(20, np.int64)
    first, again, other = (
        photographs.crops([scene], which, split="test", size=16, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first.equal(again)
    assert not first.equal(other)
    assert len(photographs.crops([scene], which[:0], split="test", size=16, rng=np.random.default_rng(0))) == 0


def test_reading_a_folder(tmp_path) -> None:
    Image.fromarray(numbered(20, 30)).save(tmp_path / "b.png")
    Image.fromarray(numbered(20, 30)[..., 0]).save(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (tmp_path / "readme.txt").write_text("not a photograph")
    found, notes = photographs.read_photographs(tmp_path)
    assert list(found) == ["a.png", "b.png"]
    assert found["a.png"].shape == (20, 30, 3)
    assert (found["b.png"] == numbered(20, 30)).all()
    assert len(notes) == 1
    assert "broken.jpg" in notes[0]


def test_folders_without_photographs(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder of photographs"):
        photographs.read_photographs(tmp_path / "absent")
    with pytest.raises(ValueError, match="no readable photograph"):
        photographs.read_photographs(tmp_path)


def test_hidden_files_are_no_photographs_and_transparent_parts_are_white(tmp_path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"no image")
    found, notes = photographs.read_photographs(tmp_path)
    assert notes == []
    assert (found["a.png"][:4] == 0).all()
    assert (found["a.png"][4:] == 255).all()
