"""One image file becomes one array: decoded, upright, resized and cropped to a square."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageColor, ImageOps

from unconfound.data.images.mask_values import UnclearMaskError, foreground
from unconfound.spans import Spans

# Also about where Pillow itself refuses: a file that unpacks to more is a mistake or an attack.
PIXEL_LIMIT = 178_000_000


# Left, top, width and height in pixels of a whole image, the left and upper edge of which are 0.
Box = tuple[float, float, float, float]


class UnreadableImageError(ValueError):
    """An image file that cannot be decoded; the message says why, in one line."""


@contextmanager
def large_images_allowed() -> Iterator[None]:
    """Silence Pillow's warning on images of more than half of the limit that is set here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def image_shape(path: Path) -> tuple[int, int]:
    """Return (height, width) from the file's header, as stored: the camera's orientation is not applied.

    Raises:
        UnreadableImageError: the header cannot be read, or states more than 178 megapixels.
    """
    try:
        with Image.open(path) as image:
            width, height = checked_size(image)
            return height, width
    except Exception as error:
        raise unreadable(error) from error


def decode_image(
    path: Path, image_size: int, channels: int, *, box: Box | None = None, bits: int = 16
) -> tuple[UInt8[np.ndarray, "channels size size"], tuple[int, int]]:
    """Decode an image and fit its central square, or that around a box, to `image_size` x `image_size` pixels.

    The Exif orientation is applied. Transparent parts show white. Deep integers are brought to 8 bits by rounding;
    float images must lie in [0, 1]; of several frames or pages the first counts. Resampling is bilinear with
    antialiasing; an image that has the size already keeps its values.

    Args:
        path: any file that Pillow reads.
        image_size: side of the result in pixels.
        channels: 3 for colours, 1 for brightness.
        box: in the upright image; cut out is the smallest square around its middle that holds it, no longer than the
            image's shorter side and moved into the image where it would leave it. None: the central square.
        bits: of the values in 16-bit files, whose white is 2**bits - 1. A TIFF of 12 bits says so itself.

    Returns:
        the pixels, and (height, width) of the whole image in the file.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated, damaged or of more than 178 megapixels.
    """
    try:
        with Image.open(path) as image:
            width, height = checked_size(image)
            # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; twice the size asked for leaves room to antialias.
            needed = 2 * image_size
            if box is not None:
                needed = math.ceil(needed * min(width, height) / square_around(box, (height, width))[2])
            image.draft(None, (needed, needed))
            if bits != 16 and deep_colours(image):
                raise ValueError(f"of 16-bit colours the upper 8 bits are read, not {bits} bits: save them with 8 bits")
            image.load()
            shape = (width, height) if _turned(image) else (height, width)
            upright = flattened(_oriented(image), "white", bits=bits).convert("RGB" if channels == 3 else "L")
            pixels = np.asarray(_square(upright, image_size, Image.Resampling.BILINEAR, box, shape))
    except Exception as error:
        raise unreadable(error) from error
    return np.ascontiguousarray(pixels.reshape(image_size, image_size, channels).transpose(2, 0, 1)), shape


def decode_mask(
    path: Path, image_size: int, image: tuple[int, int], *, box: Box | None = None, spans: Spans | None = None
) -> Bool[np.ndarray, "1 size size"]:
    """Decode the mask of an image, cropped and resized as the image is, by nearest neighbours.

    `unconfound.data.images.mask_values.foreground` says what of it is foreground.

    Args:
        path: any file that Pillow reads.
        image_size: side of the result in pixels.
        image: (height, width) of the image it belongs to; the mask must have the same proportions.
        box: in that image, as `decode_image` has it.
        spans: the values of the foreground; None: the mask must be black and white.

    Raises:
        UnreadableImageError: the file cannot be decoded, or its proportions are not those of the image.
        UnclearMaskError: it is not black and white, although no `spans` are given.
    """
    try:
        with Image.open(path) as mask:
            checked_size(mask)
            upright = _oriented(mask)
            _check_proportions((upright.height, upright.width), image)
            bright = foreground(upright, spans)
            pixels = np.asarray(_square(bright, image_size, Image.Resampling.NEAREST, box, image))
    except UnclearMaskError as error:
        raise UnclearMaskError(f"{path}: {error}") from None
    except Exception as error:
        raise unreadable(error) from error
    return np.asarray(pixels[None] > 127)


def decode_alpha(path: Path, image_size: int, *, box: Box | None = None) -> Bool[np.ndarray, "1 size size"]:
    """Decode which pixels of an image are opaque by half or more, cropped and resized as `decode_image` does.

    Args:
        path: any file that Pillow reads.
        image_size: side of the result in pixels.
        box: in the upright image, as `decode_image` has it.

    Returns:
        True where the image is opaque; nowhere if all of it is, as it then says nothing about what is foreground.

    Raises:
        UnreadableImageError: as in `decode_image`.
    """
    try:
        with Image.open(path) as image:
            width, height = checked_size(image)
            image.load()
            shape = (width, height) if _turned(image) else (height, width)
            opacity = _opacity(_oriented(image))
            opaque = np.asarray(_square(opacity, image_size, Image.Resampling.BILINEAR, box, shape)) > 127
            whole = bool((np.asarray(opacity) > 127).all())
    except Exception as error:
        raise unreadable(error) from error
    return opaque[None] & (not whole)


def has_transparent_parts(path: Path) -> bool:
    """Say whether some parts of an image are transparent by more than half, and others are not.

    Raises:
        UnreadableImageError: as in `decode_image`.
    """
    try:
        with Image.open(path) as image:
            checked_size(image)
            if not image.has_transparency_data:
                return False
            opaque = np.asarray(_opacity(image)) > 127
            return bool(opaque.any() and not opaque.all())
    except Exception as error:
        raise unreadable(error) from error


def _opacity(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") and "transparency" in image.info:
        return Image.fromarray(np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8))
    return image.convert("RGBA").getchannel("A") if image.has_transparency_data else Image.new("L", image.size, 255)


def checked_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height; a ValueError says that they make too many pixels."""
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        raise ValueError(f"{width} x {height} pixels are more than {PIXEL_LIMIT // 10**6} megapixels")
    return width, height


def _turned(image: Image.Image) -> bool:
    # 5 to 8 are the orientations of Exif tag 0x0112 that swap the axes.
    return image.getexif().get(0x0112) in (5, 6, 7, 8)


def _oriented(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    return image


def deep_colours(image: Image.Image) -> bool:
    """Say whether an image, not loaded yet, has several channels of 16 bits, of which Pillow keeps the upper 8."""
    return not image.mode.startswith("I") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def has_twelve_bits(image: Image.Image) -> bool:
    """Say whether an image is a TIFF whose values are stored in 12 bits."""
    return getattr(image, "tag_v2", {}).get(258) == (12,)


def flattened(image: Image.Image, background: str, *, bits: int = 16) -> Image.Image:
    """Bring deep images, whose values have so many bits, to 8 bits and lay transparent ones over a background."""
    if image.mode.startswith("I") or image.mode == "F":
        values, top = np.asarray(image), 2 ** (12 if has_twelve_bits(image) else bits) - 1
        shown = _eight_bits(values, top=1 if image.mode == "F" else top)
        if "transparency" in image.info:
            shown[values == image.info["transparency"]] = ImageColor.getcolor(background, "L")
        return Image.fromarray(shown)
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, background)
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque
    return image


def _eight_bits(values: np.ndarray, *, top: int) -> UInt8[np.ndarray, "height width"]:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):
        kind = "float" if top == 1 else "integer"
        raise ValueError(f"{kind} values from {low} to {high}, where 0 to {top} can be read")
    return np.round(values * (255 / top)).astype(np.uint8)


def square_around(box: Box, shape: tuple[int, int]) -> tuple[float, float, float]:
    """Return left, top and side of the square around a box, inside of an image of `shape` (height, width)."""
    left, top, width, height = box
    side = min(max(width, height), *shape)
    return (
        min(max(left + (width - side) / 2, 0), shape[1] - side),
        min(max(top + (height - side) / 2, 0), shape[0] - side),
        side,
    )


def _square(
    image: Image.Image, size: int, resampling: Image.Resampling, box: Box | None, shape: tuple[int, int]
) -> Image.Image:
    """Cut out what `decode_image` says of an image that was of `shape` before it was made smaller, and resize it."""
    if box is None:
        return central_square(image, size, resampling)
    left, top, side = square_around(box, shape)
    across, down = image.width / shape[1], image.height / shape[0]
    # Rounding must not reach beyond the image, by however little.
    right, bottom = min((left + side) * across, image.width), min((top + side) * down, image.height)
    return image.resize((size, size), resampling, box=(left * across, top * down, right, bottom))


def central_square(image: Image.Image, size: int, resampling: Image.Resampling) -> Image.Image:
    """Cut out the central square and resize it to `size` pixels a side."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # One resampling of the square itself: whole pixels are not lost to a rounded crop, and masks stay aligned.
    return image.resize((size, size), resampling, box=(left, top, left + side, top + side))


def _check_proportions(mask: tuple[int, int], image: tuple[int, int]) -> None:
    # Equal up to one pixel of the mask, so that a mask may be stored at another resolution.
    if abs(image[1] * mask[0] / image[0] - mask[1]) > 1:
        raise ValueError(f"a mask of {mask[1]} x {mask[0]} pixels does not fit its image of {image[1]} x {image[0]}")


def unreadable(error: Exception) -> UnreadableImageError:
    """Turn whatever a decoder raised into one line on one file."""
    # Decoders raise almost any exception on a damaged file, and some messages carry the whole path or several lines.
    if isinstance(error, MemoryError):
        raise error
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if type(error).__name__ == "UnidentifiedImageError":
        reason = "not an image, or damaged at its beginning"
    return UnreadableImageError(" ".join(reason.split()) or type(error).__name__)
