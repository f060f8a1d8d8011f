import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.files.cache import Cache
from unconfound.data.images import decoded as module
from unconfound.data.images.decoded import ImageFiles, decode_all


@pytest.fixture
def files(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(root / f"{number}.png")
        mask = np.zeros((12, 12), dtype=np.uint8)
        mask[number:] = 255 if number else 0
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    (root / "2.png").write_bytes(b"damaged")
    images = tuple(f"{number}.png" for number in range(5))
    return ImageFiles(root, images, tuple(root / "masks" / image for image in images), 12, 3)


@pytest.fixture
def decodings(monkeypatch):
    """Counts the files that are decoded."""
    counted = []
    original = module.decode_image
    monkeypatch.setattr(
        module,
        "decode_image",
        lambda path, *rest, **named: (counted.append(path.name), original(path, *rest, **named))[1],
    )
    return counted


def _decode(files, root, *, keep=True):
    return decode_all(files, keep=keep, cache=Cache(root, limit=10**9), workers=2)


def _check(result, files):
    readable = [0, 1, 3, 4]
    assert result.skipped == {2: "not an image, or damaged at its beginning"}
    assert result.images.shape == (4, 3, 12, 12)
    for row, number in enumerate(readable):
        original = np.asarray(Image.open(files.root / f"{number}.png")).transpose(2, 0, 1)
        assert np.array_equal(result.images[row], original)
        mask = np.asarray(Image.open(files.root / "masks" / f"{number}.png")) > 127
        assert np.array_equal(result.masks[row, 0], mask)
    assert result.empty_masks == 1


def test_files_are_decoded_once(files, tmp_path, decodings):
    _check(_decode(files, tmp_path / "cache"), files)
    assert sorted(decodings) == list(files.images)
    decodings.clear()
    _check(_decode(files, tmp_path / "cache"), files)
    assert not decodings


def test_a_copy_of_the_folder_is_known_by_its_bytes(files, tmp_path, decodings):
    _decode(files, tmp_path / "cache")
    decodings.clear()
    shutil.copytree(files.root, tmp_path / "copy")
    masks = tuple(tmp_path / "copy" / "masks" / image for image in files.images)
    _check(_decode(ImageFiles(tmp_path / "copy", files.images, masks, 12, 3), tmp_path / "cache"), files)
    assert not decodings


def test_a_changed_file_is_noticed_even_under_its_old_date_and_size(files, tmp_path):
    first = _decode(files, tmp_path / "cache")
    path = files.root / "0.png"
    state = path.stat()
    content = bytearray(Image.open(path).convert("RGB").tobytes())
    content[0] ^= 255
    Image.frombytes("RGB", (12, 12), bytes(content)).save(path)
    path.write_bytes(path.read_bytes().ljust(state.st_size, b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    second = _decode(files, tmp_path / "cache")
    assert second.images[0, 0, 0, 0] == first.images[0, 0, 0, 0] ^ 255
    assert torch.equal(second.images[1:], first.images[1:])


@pytest.mark.parametrize("settings", [{"image_size": 6}, {"channels": 1}, {"masks": None}])
def test_other_settings_are_another_result(files, tmp_path, settings):
    _decode(files, tmp_path / "cache")
    values = {"masks": files.masks, "image_size": 12, "channels": 3} | settings
    other = _decode(ImageFiles(files.root, files.images, **values), tmp_path / "cache")
    assert other.images.shape == (4, values["channels"], values["image_size"], values["image_size"])
    assert (other.masks is None) == (values["masks"] is None)


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "index", "missing"])
def test_a_damaged_entry_is_decoded_anew(files, tmp_path, damage):
    _decode(files, tmp_path / "cache")
    (images,) = (tmp_path / "cache").glob("*/images.bin")
    if damage == "truncated":
        images.write_bytes(images.read_bytes()[:-1])
    elif damage == "overwritten":
        images.write_bytes(bytes(images.stat().st_size))
    elif damage == "index":
        (images.parent / "index.json").write_text('{"skipped":')
    else:
        images.unlink()
    _check(_decode(files, tmp_path / "cache"), files)


def test_what_is_written_to_the_tensors_does_not_reach_the_cache(files, tmp_path):
    _decode(files, tmp_path / "cache").images.zero_()
    _check(_decode(files, tmp_path / "cache"), files)


def test_checking_alone_keeps_no_pixels(files, tmp_path, decodings):
    for _ in range(2):
        result = _decode(files, tmp_path / "cache", keep=False)
        assert result.images is None
        assert result.masks is None
        assert list(result.skipped) == [2]
        assert result.empty_masks == 1
    assert len(decodings) == 5
    _check(_decode(files, tmp_path / "cache"), files)


def test_a_full_disk_is_said_and_the_images_are_in_memory(files, tmp_path, monkeypatch):
    def full(file, values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    result = _decode(files, tmp_path / "cache")
    _check(result, files)
    assert "could not be cached" in result.notes[0]
    assert "No space left on device" in result.notes[0]
    assert not list((tmp_path / "cache").glob("*/images.bin"))
    assert not list((tmp_path / "cache").glob(".*.partial"))


def test_a_cache_that_cannot_be_made_is_said(files, tmp_path):
    (tmp_path / "file").write_text("")
    result = _decode(files, tmp_path / "file" / "cache")
    _check(result, files)
    assert "could not be cached" in result.notes[0]
    checked = _decode(files, tmp_path / "file" / "cache", keep=False)
    assert checked.images is None
    assert list(checked.skipped) == [2]


def test_other_boxes_are_another_result(files, tmp_path, decodings):
    whole = _decode(files, tmp_path / "cache")
    count = len(decodings)
    boxes = tuple((float(number), 0.0, 6.0, 6.0) for number in range(5))
    cut = _decode(replace(files, boxes=boxes), tmp_path / "cache")
    assert len(decodings) == 2 * count
    assert not torch.equal(cut.images, whole.images)
    _decode(replace(files, boxes=boxes), tmp_path / "cache")
    assert len(decodings) == 2 * count
    selected = replace(files, boxes=boxes).select([4, 1])
    assert selected.images == ("4.png", "1.png")
    assert [mask.name for mask in selected.masks] == ["4.png", "1.png"]
    assert selected.boxes == (boxes[4], boxes[1])
    assert np.array_equal(selected.decode(0)[0], cut.images[3])
