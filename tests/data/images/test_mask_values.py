import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from unconfound.data.images.decoding import decode_mask
from unconfound.data.images.folder import image_folder
from unconfound.data.images.mask_values import UnclearMaskError, foreground
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset

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


def _drawn(kind, side):
    """A mask of one object, white on black."""
    image = Image.new("L", (side, side))
    corners = {"disc": (0.2, 0.3, 0.7, 0.8), "rectangle": (0.25, 0.25, 0.75, 0.75), "small": (0.4, 0.4, 0.45, 0.45)}[
        kind
    ]
    pen = ImageDraw.Draw(image)
    (pen.rectangle if kind == "rectangle" else pen.ellipse)([side * corner for corner in corners], fill=255)
    return image


@pytest.mark.parametrize("kind", ["disc", "rectangle", "small"])
@pytest.mark.parametrize("side", [32, 100, 256])
def test_the_noise_of_a_jpeg_is_no_number(kind, side, tmp_path):
    drawn = _drawn(kind, side)
    for quality in (50, 75, 90, 95, 98, 100):
        drawn.save(tmp_path / "a.jpg", quality=quality)
        found = decode_mask(tmp_path / "a.jpg", side, (side, side))[0]
        assert (found == (np.asarray(drawn) > 127)).mean() > 0.99
        with Image.open(tmp_path / "a.jpg") as image:
            image.save(tmp_path / "a.png")
        assert np.array_equal(decode_mask(tmp_path / "a.png", side, (side, side))[0], found)


RESAMPLING = [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]


@pytest.mark.parametrize("kind", ["disc", "rectangle", "small"])
@pytest.mark.parametrize("resampling", RESAMPLING)
def test_resized_masks_are_black_and_white(kind, resampling):
    for before, after in ((64, 32), (200, 100), (100, 96), (256, 64), (32, 64), (32, 224), (100, 333)):
        resized = _drawn(kind, before).resize((after, after), resampling)
        assert np.array_equal(_found(resized), np.asarray(resized) > 127)
        deep = np.asarray(resized).astype(np.uint16) * 257
        assert np.array_equal(_found(Image.fromarray(deep)), deep > 32767)


@pytest.mark.parametrize("side", [100, 600])
@pytest.mark.parametrize("top", [200, 255])
def test_a_soft_spot_is_black_and_white(side, top):
    row, column = np.mgrid[:side, :side] - side / 2
    spot = (np.exp(-(row**2 + column**2) / (side / 5) ** 2) * top).astype(np.uint8)
    assert np.array_equal(_found(Image.fromarray(spot)), spot > 127)


def _cells(numbers, side, rng):
    """A map of numbers: each pixel has that of the nearest of some points."""
    points = rng.random((len(numbers), 2)) * side
    row, column = np.mgrid[:side, :side]
    apart = (row[..., None] - points[:, 0]) ** 2 + (column[..., None] - points[:, 1]) ** 2
    return numbers[apart.argmin(-1)].astype(np.uint8)


@pytest.mark.parametrize("count", [2, 6, 10, 17, 25, 60])
def test_maps_of_class_numbers_are_refused(count):
    rng = np.random.default_rng(count)
    for side in (48, 48, 120):
        numbers = _cells(np.append(0, rng.choice(182, count, replace=False) + 1), side, rng)
        edge = (numbers != np.roll(numbers, 1, axis=0)) | (numbers != np.roll(numbers, 1, axis=1))
        for each in (numbers, np.where(edge, 255, numbers)):  # without and with a void rim
            with pytest.raises(UnclearMaskError, match="--mask-values"):
                foreground(Image.fromarray(each.astype(np.uint8)), None)


@pytest.mark.parametrize("count", [5, 10, 60, 200])
def test_grey_instances_are_refused(count):
    values = np.zeros((400, 400), np.uint8)
    for number in range(count):
        down, across = np.array(divmod(number, 15)) * 26 + 2
        values[down : down + 18, across : across + 18] = 1 + number * 254 // (count - 1)
    with pytest.raises(UnclearMaskError, match="--mask-values"):
        foreground(Image.fromarray(values), None)


@pytest.mark.parametrize("number", [1, 3, 20, 127, 128, 200, 254])
def test_one_class_with_a_void_rim_is_refused(number):
    for side in (8, 20, 60):
        values = np.pad(np.full((side, side), number, np.uint8), 2, constant_values=255)
        with pytest.raises(UnclearMaskError, match=rf"0, {number}, 255.*1-255 for all but 0$"):
            foreground(Image.fromarray(np.pad(values, 10)), None)


def test_shades_that_may_be_blur_are_told_how_to_be_read():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    with pytest.raises(UnclearMaskError, match=r"1-255 for all but 0, or 128-255 where they are shades"):
        foreground(noise, None)
    with pytest.raises(UnclearMaskError, match=r"1-65535 for all but 0, or 32768-65535 where they are shades"):
        foreground(Image.fromarray(np.asarray(noise).astype(np.uint16) * 257), None)


NUMBERS = {
    "ones": (Image.fromarray(OBJECT * np.uint8(1)), "0, 1, where .* 0 and 255"),
    "16 bits of 255": (Image.fromarray(OBJECT * np.uint16(255)), "0, 255, where .* 0 and 65535"),
    "void": (Image.fromarray(np.where(RIM, 255, OBJECT * 3).astype(np.uint8)), "0, 3, 255"),
    "trimap": (Image.fromarray(np.where(OBJECT, np.where(RIM, 3, 1), 2).astype(np.uint8)), "1, 2, 3"),
    "grey trimap": (
        Image.fromarray(
            np.where(OBJECT, 128, 0).astype(np.uint8)
            | np.where(np.roll(OBJECT, 3, axis=0) & OBJECT, 255, 0).astype(np.uint8)
        ),
        "0, 128, 255",
    ),
    "palette": (
        _palette(np.where(RIM, 2, OBJECT), [[0, 0, 0], [128, 0, 0], [224, 224, 192]]),
        "0, 1, 2, where",
    ),
    "floats": (Image.fromarray(OBJECT * np.float32(255)), "0, 255, where .* 0 and 1:"),
    "shades of areas": (
        Image.fromarray(np.repeat(np.arange(0, 256, 51, np.uint8), 4)[:, None] * np.ones(9, np.uint8)),
        "0, 51, 102, 153, 204, 255",
    ),
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
        image_folder(folder, masks=masks, reading=Reading(memory_gib=memory))
    data = load_dataset(DataOptions(data=str(folder), masks=masks, mask_values=("1-255",), memory_gib=memory))
    (batch,) = data.train.batches([torch.arange(len(data.train))])
    assert torch.equal(batch.masks, torch.from_numpy(OBJECT).expand(len(data.train), 1, 12, 12))


def test_the_cache_knows_by_which_rule_masks_were_read(folder):
    masks = _masks(folder, lambda number: np.where(RIM, 2, OBJECT))
    shares = [
        image_folder(folder, masks=masks, test_share=0, reading=Reading(mask_values=values))
        .train.masks.float()
        .mean()
        .item()
        for values in (["1"], ["2"], [1, 2])
    ]
    assert shares == pytest.approx([(OBJECT & ~RIM).mean(), RIM.mean(), OBJECT.mean()])


def test_masks_in_which_nothing_is_foreground_and_values_without_masks_are_refused(folder):
    with pytest.raises(
        ValueError, match=r"no mask in .*masks has any foreground: all are black \(of silhouettes, save the opacity"
    ):
        image_folder(folder, masks=_masks(folder, lambda number: OBJECT * 0))
    with pytest.raises(ValueError, match=r"no mask in .*masks has any foreground: none has a value of --mask-values"):
        image_folder(folder, masks=_masks(folder, lambda number: OBJECT * 255), reading=Reading(mask_values=["3"]))
    with pytest.raises(ValueError, match="give the folder of the masks"):
        image_folder(folder, reading=Reading(mask_values=["3"]))
