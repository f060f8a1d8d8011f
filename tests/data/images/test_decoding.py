import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from unconfound.data.images.decoding import (
    UnreadableImageError,
    decode_image,
    decode_mask,
    image_shape,
    large_images_allowed,
)


@pytest.fixture
def pixels():
    """A smooth picture, so that formats with loss keep it."""
    row, column = np.mgrid[0:48, 0:80]
    return np.stack([row * 5, column * 3, (row + column) * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("extension", ["png", "bmp", "webp", "tif", "ppm", "jpg", "gif"])
def test_formats_give_the_same_picture(tmp_path, pixels, extension):
    square = pixels[:, 16:64]
    options = {"lossless": True} if extension == "webp" else {"quality": 95} if extension == "jpg" else {}
    Image.fromarray(square).save(tmp_path / f"a.{extension}", **options)
    decoded, shape = decode_image(tmp_path / f"a.{extension}", 48, 3)
    assert shape == (48, 48)
    assert decoded.dtype == np.uint8
    tolerance = {"jpg": 12, "gif": 60}.get(extension, 0)
    assert np.abs(decoded.astype(int) - square.transpose(2, 0, 1)).max() <= tolerance


def test_the_central_square_is_resized_with_antialiasing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    decoded, shape = decode_image(tmp_path / "a.png", 20, 3)
    whole = torch.from_numpy(noise.transpose(2, 0, 1).copy())
    expected = tv.resize(whole, [20, 40], antialias=True)[:, :, 10:30]
    assert shape == image_shape(tmp_path / "a.png") == (48, 96)
    assert np.abs(decoded.astype(int) - expected.numpy()).max() <= 1


def test_a_large_jpeg_is_decoded_small_without_visible_difference(tmp_path):
    row, column = np.mgrid[0:512, 0:640]
    smooth = np.stack([127 + 100 * np.sin(row / 60), 127 + 100 * np.cos(column / 50), row / 3], axis=2)
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    decoded, shape = decode_image(tmp_path / "a.jpg", 32, 3)
    square = torch.from_numpy(smooth[:, 64:576].transpose(2, 0, 1).copy())
    expected = tv.resize(square, [32, 32], antialias=True).numpy()
    assert shape == (512, 640)
    assert np.abs(decoded - expected).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(tmp_path, orientation):
    upright = Image.fromarray(np.random.default_rng(1).integers(0, 256, (10, 10, 3), dtype=np.uint8))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    decoded, _ = decode_image(tmp_path / "a.png", 10, 3)
    assert np.array_equal(decoded, np.asarray(upright).transpose(2, 0, 1))


def test_the_shape_is_that_of_the_upright_image(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6
    for extension in ("jpg", "png", "tif"):
        path = tmp_path / f"a.{extension}"
        Image.fromarray(pixels).save(path, exif=exif)
        assert decode_image(path, 8, 3)[1] == (80, 48)


def test_sixteen_bits_keep_their_brightness(tmp_path):
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray(deep).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        decoded, _ = decode_image(tmp_path / name, 8, 3)
        assert np.array_equal(decoded[1], np.round(deep / 65535 * 255))


def _twelve_bits(values):
    """A TIFF that stores its values in 12 bits each."""
    height, width = values.shape
    pairs = values.reshape(-1, 2).tolist()
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    # Width, height, bits, compression, black is 0, place, channels, rows together, bytes.
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_values_of_fewer_bits_in_16_bit_files(tmp_path):
    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    expected = np.round(values / 4095 * 255)
    (tmp_path / "own.tif").write_bytes(_twelve_bits(values))
    assert np.array_equal(decode_image(tmp_path / "own.tif", 8, 1)[0][0], expected)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(decode_image(tmp_path / "a.png", 8, 1, bits=12)[0][0], expected)
    with pytest.raises(UnreadableImageError, match="integer values from 0 to 4095, where 0 to 1023 can be read"):
        decode_image(tmp_path / "a.png", 8, 1, bits=10)


def test_transparent_parts_of_16_bit_greys_are_white(tmp_path):
    values = np.zeros((8, 8), np.uint16)
    values[:4] = 300
    Image.fromarray(values).save(tmp_path / "a.png", transparency=300)
    decoded = decode_image(tmp_path / "a.png", 8, 1)[0][0]
    assert (decoded[:4] == 255).all()
    assert (decoded[4:] == 0).all()


def test_float_images_lie_in_the_unit_interval_or_are_refused(tmp_path):
    shades = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    Image.fromarray(shades).save(tmp_path / "a.tif")
    assert np.array_equal(decode_image(tmp_path / "a.tif", 4, 1)[0][0], np.round(shades * 255))
    Image.fromarray(shades * 300).save(tmp_path / "b.tif")
    with pytest.raises(UnreadableImageError, match="float values from 0"):
        decode_image(tmp_path / "b.tif", 4, 1)
    shades[0, 0] = np.nan
    Image.fromarray(shades).save(tmp_path / "c.tif")
    with pytest.raises(UnreadableImageError, match="nan"):
        decode_image(tmp_path / "c.tif", 4, 1)


def test_transparent_parts_are_white(tmp_path):
    picture = np.zeros((6, 6, 4), dtype=np.uint8)
    picture[:3, :, 3] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).convert("LA").save(tmp_path / "b.png")
    palette = Image.fromarray(np.repeat([[0], [1]], 3, axis=0).repeat(6, axis=1).astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "c.png", transparency=1)
    for name in ("a.png", "b.png", "c.png"):
        decoded, _ = decode_image(tmp_path / name, 6, 3)
        assert (decoded[:, :3] == 0).all()
        assert (decoded[:, 3:] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGBA"])
def test_every_mode_becomes_three_channels_or_one(tmp_path, pixels, mode):
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.tif")
    assert decode_image(tmp_path / "a.tif", 16, 3)[0].shape == (3, 16, 16)
    assert decode_image(tmp_path / "a.tif", 16, 1)[0].shape == (1, 16, 16)


def _damaged(tmp_path, kind):
    path = tmp_path / ("a.jpg" if "jpg" in kind else "a.png")
    if kind == "missing":
        return path
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    changed = {
        "empty": b"",
        "text": b"this is no image at all",
        "truncated png": content[: len(content) // 2],
        "truncated jpg": content[: len(content) // 2],
        "damaged png": content[:200] + bytes(300) + content[500:],
    }
    path.write_bytes(changed[kind])
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated png", "truncated jpg", "damaged png"])
def test_damaged_files_are_refused_in_one_line(tmp_path, kind):
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(_damaged(tmp_path, kind), 16, 3)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def _claiming(width, height):
    """A PNG that says it is large and holds next to nothing."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    packed = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + packed


@pytest.mark.parametrize("size", [(20_000, 8_901), (100_000, 100_000)])
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(tmp_path, size):
    (tmp_path / "a.png").write_bytes(_claiming(*size))
    with large_images_allowed(), pytest.raises(UnreadableImageError, match=r"pixels"):
        decode_image(tmp_path / "a.png", 16, 3)
    with large_images_allowed(), pytest.raises(UnreadableImageError, match=r"pixels"):
        image_shape(tmp_path / "a.png")


def test_masks_are_foreground_as_stated_and_cropped_as_their_image(tmp_path):
    mask = np.zeros((48, 80), dtype=np.uint8)
    mask[10:30, 20:50] = 128
    mask[30:, 50:] = 127
    Image.fromarray(mask).save(tmp_path / "a.png")
    decoded = decode_mask(tmp_path / "a.png", 48, (48, 80), spans=((128, 255),))
    assert decoded.shape == (1, 48, 48)
    assert np.array_equal(decoded[0], mask[:, 16:64] == 128)
    half = Image.fromarray(mask).resize((40, 24), Image.Resampling.NEAREST)
    half.save(tmp_path / "b.png")
    smaller = decode_mask(tmp_path / "b.png", 24, (48, 80), spans=((128, 255),))
    assert (smaller[0] == decoded[0, 1::2, 1::2]).mean() > 0.97


def test_masks_of_one_bit_deep_and_transparent_ones(tmp_path):
    shape = np.zeros((8, 8), dtype=bool)
    shape[2:5, 3:7] = True
    Image.fromarray(shape).save(tmp_path / "bit.png")
    Image.fromarray(shape.astype(np.uint16) * 40000).save(tmp_path / "deep.png")
    cut = np.full((8, 8, 4), 255, dtype=np.uint8)
    cut[..., 3] = shape * 255
    Image.fromarray(cut).save(tmp_path / "cut.png")
    for name in ("bit.png", "deep.png", "cut.png"):
        assert np.array_equal(decode_mask(tmp_path / name, 8, (8, 8))[0], shape)


def test_a_mask_of_other_proportions_is_refused(tmp_path):
    Image.new("L", (80, 48)).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImageError, match="80 x 48 pixels does not fit its image of 48 x 80"):
        decode_mask(tmp_path / "a.png", 16, (80, 48))


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_the_square_around_a_box_is_cut_out(tmp_path, extension):
    ramp = np.tile(np.arange(240, dtype=np.uint8), (160, 1))
    mask = ((ramp >= 60) & (ramp < 100)).astype(np.uint8) * 255
    Image.fromarray(ramp).save(tmp_path / f"a.{extension}")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    # Left, top, width, height; left and right border of the square, which is moved into the image.
    for box, first, last in (
        ((60, 30, 40, 20), 60, 100),
        ((60, 30, 20, 40), 50, 90),
        ((-10, -10, 20, 40), 0, 40),
        ((210, 140, 30, 40), 200, 240),
        ((0, 0, 240, 160), 40, 200),
    ):
        pixels, shape = decode_image(tmp_path / f"a.{extension}", 20, 1, box=box)
        assert shape == (160, 240)
        step = (last - first) / 20
        expected = first + step * (np.arange(20) + 0.5) - 0.5
        assert np.abs(pixels[0] - expected).max() <= (2 if extension == "png" else 8)
        cut = decode_mask(tmp_path / "mask.png", 20, shape, box=box)
        assert np.array_equal(cut[0], np.tile((expected >= 59.5) & (expected < 99.5), (20, 1)))


def test_a_small_box_of_a_large_photograph_keeps_its_detail(tmp_path):
    noise = np.kron(np.random.default_rng(0).integers(0, 256, (64, 64)), np.ones((16, 16))).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=100, subsampling=0)
    cut, _ = decode_image(tmp_path / "a.jpg", 64, 1, box=(512, 256, 128, 128))
    exact = noise[256:384, 512:640].reshape(64, 2, 64, 2).mean((1, 3))
    assert np.abs(cut[0] - exact)[1:-1, 1:-1].mean() < 12
