import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.decoding import decode_mask
from unconfound.data.images import image_folder
from unconfound.data.load import DataOptions, load
from unconfound.data.mask_values import UnclearMaskError, foreground

OBJECT = np.zeros((12, 12), dtype=bool)
OBJECT[3:9, 2:7] = True
RIM = OBJECT & ~np.roll(OBJECT, 1, axis=0)


def _found(image, spans=None):
    return np.asarray(foreground(image, spans)) > 127


def _palette(numbers, colours):
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    return image


def _shaded(count):
    """Black and white with some shades between on either side of half."""
    values = OBJECT * np.uint8(255)
    values[0, :count] = np.arange(count) + 3
    values[1, :count] = 252 - np.arange(count)
    return Image.fromarray(values)


def _cut_out():
    pixels = np.full((12, 12, 4), 255, np.uint8)
    pixels[..., 3] = OBJECT * 255
    return Image.fromarray(pixels)


BLACK_AND_WHITE = {
    "bits": Image.fromarray(OBJECT),
    "bytes": Image.fromarray(OBJECT * np.uint8(255)),
    "less than white": Image.fromarray(OBJECT * np.uint8(128)),
    "colour": Image.fromarray(OBJECT[..., None] * np.array([0, 255, 0], np.uint8)),
    "16 bits": Image.fromarray(OBJECT * np.uint16(65535)),
    "floats": Image.fromarray(OBJECT * np.float32(1)),
    "palette": _palette(OBJECT, [[0, 0, 0], [255, 255, 255]]),
    "blur": _shaded(4),
    "cut out": _cut_out(),
    "grey and transparent": _cut_out().convert("LA"),
}


@pytest.mark.parametrize("name", BLACK_AND_WHITE)
def test_black_and_white_masks_are_foreground_where_they_are_bright(name):
    expected = OBJECT | (np.asarray(_shaded(4)) > 127) if name == "blur" else OBJECT
    assert np.array_equal(_found(BLACK_AND_WHITE[name]), expected)


def test_masks_without_or_with_nothing_but_foreground():
    assert not _found(Image.new("L", (4, 4))).any()
    assert _found(Image.new("L", (4, 4), 255)).all()


def test_a_jpeg_of_a_mask_is_black_and_white(tmp_path):
    row, column = np.mgrid[:64, :64]
    disc = (row - 30) ** 2 + (column - 34) ** 2 < 400
    Image.fromarray(disc * np.uint8(255)).save(tmp_path / "a.jpg", quality=85)
    found = decode_mask(tmp_path / "a.jpg", 64, (64, 64))[0]
    assert (found == disc).mean() > 0.99


NUMBERS = {
    "ones": (Image.fromarray(OBJECT * np.uint8(1)), "0, 1, where .* 0 and 255"),
    "16 bits of 255": (Image.fromarray(OBJECT * np.uint16(255)), "0, 255, where .* 0 and 65535"),
    "void": (Image.fromarray(np.where(RIM, 255, OBJECT * 3).astype(np.uint8)), "0, 3, 255"),
    "trimap": (Image.fromarray(np.where(OBJECT, np.where(RIM, 3, 1), 2).astype(np.uint8)), "1, 2, 3"),
    "grey trimap": (Image.fromarray(np.where(OBJECT, np.where(RIM, 128, 255), 0).astype(np.uint8)), "0, 128, 255"),
    "palette": (
        _palette(np.where(RIM, 2, OBJECT), [[0, 0, 0], [128, 0, 0], [224, 224, 192]]),
        "0, 1, 2, where",
    ),
    "floats": (Image.fromarray(OBJECT * np.float32(255)), "0, 255, where .* 0 and 1:"),
    "few shades": (_shaded(3), "0, 3, 4, 5, 250, 251, ..., 255"),
    "negative": (Image.fromarray((OBJECT * 65535 - RIM * 70000).astype(np.int32)), "-4465, 0, 65535"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_masks_of_numbers_are_refused_with_their_values(name):
    image, message = NUMBERS[name]
    with pytest.raises(UnclearMaskError, match=rf"its values are {message}.*--mask-values") as caught:
        foreground(image, None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "spans", "expected"),
    [
        ("ones", ((1, 1),), OBJECT),
        ("16 bits of 255", ((255, 255),), OBJECT),
        ("void", ((1, 254),), OBJECT & ~RIM),
        ("void", ((3, 3), (255, 255)), OBJECT),
        ("trimap", ((1, 1), (3, 3)), OBJECT),
        ("trimap", ((2, 2),), ~OBJECT),
        ("palette", ((1, 1),), OBJECT & ~RIM),
        ("floats", ((0.5, 255),), OBJECT),
    ],
)
def test_stated_values_are_the_foreground(name, spans, expected):
    assert np.array_equal(_found(NUMBERS[name][0], spans), expected)


def test_stated_values_of_bits_colours_and_transparent_parts():
    assert np.array_equal(_found(BLACK_AND_WHITE["bits"], ((1, 1),)), OBJECT)
    assert np.array_equal(_found(BLACK_AND_WHITE["colour"], ((255, 255),)), OBJECT)
    assert np.array_equal(_found(BLACK_AND_WHITE["cut out"], ((0, 255),)), OBJECT)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "pets" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pets"


def _masks(folder, mask_of):
    for path in folder.rglob("*.png"):
        mask = folder.parent / "masks" / path.relative_to(folder)
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask_of(int(path.stem)).astype(np.uint8)).save(mask)
    return folder.parent / "masks"


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_one_mask_of_numbers_among_others_is_named_until_they_are_stated(folder, memory):
    masks = _masks(folder, lambda number: OBJECT * (1 if number == 7 else 255))
    with pytest.raises(ValueError, match=r"masks/b/7\.png: its values are 0, 1, .*1-255 for all but 0"):
        image_folder(folder, masks=masks, memory_gib=memory)
    data = load(DataOptions(data=str(folder), masks=masks, mask_values=("1-255",), memory_gib=memory))
    (batch,) = data.train.batches([torch.arange(len(data.train))])
    assert torch.equal(batch.masks, torch.from_numpy(OBJECT).expand(len(data.train), 1, 12, 12))


def test_the_cache_knows_by_which_rule_masks_were_read(folder):
    masks = _masks(folder, lambda number: np.where(RIM, 2, OBJECT))
    shares = [
        image_folder(folder, masks=masks, mask_values=values, test_share=0).train.base.masks.float().mean().item()
        for values in (["1"], ["2"], [1, 2])
    ]
    assert shares == pytest.approx([(OBJECT & ~RIM).mean(), RIM.mean(), OBJECT.mean()])


def test_masks_in_which_nothing_is_foreground_and_values_without_masks_are_refused(folder):
    with pytest.raises(ValueError, match=r"no mask in .*masks has any foreground: all are black"):
        image_folder(folder, masks=_masks(folder, lambda number: OBJECT * 0))
    with pytest.raises(ValueError, match=r"no mask in .*masks has any foreground: none has a value of --mask-values"):
        image_folder(folder, masks=_masks(folder, lambda number: OBJECT * 255), mask_values=["3"])
    with pytest.raises(ValueError, match="give the folder of the masks"):
        image_folder(folder, mask_values=["3"])
