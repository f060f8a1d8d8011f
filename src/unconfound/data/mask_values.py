"""Which values of a mask are its foreground: the bright ones of a black and white mask, or those that are stated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops

from unconfound.spans import Spans

# A mask with so many shades on either side of half is blurred (JPEG, resizing), not a picture of numbers.
_SHADES = 4


class UnclearMaskError(ValueError):
    """A mask that is not black and white, although nothing states which of its values are foreground."""


def foreground(mask: Image.Image, spans: Spans | None) -> Image.Image:
    """Return the foreground of a mask, above 127 of 255; transparent parts are background.

    Args:
        mask: of any mode.
        spans: which values are foreground. The values of a palette are its numbers, those of colours their brightest
            channel. None: the mask must be black and white, and is foreground above half of its range (255; 65,535
            for deep integers, 1 for floats). Shades between are fine where there are several on either side of half, as
            blur makes them.

    Raises:
        UnclearMaskError: nothing is stated, and the mask is not black and white.
        ValueError: a value is NaN.
    """
    if mask.mode.startswith("I") or mask.mode == "F":
        return _deep_foreground(mask, spans)
    shown, alpha = _brightest(mask)
    if spans is None:
        shown = shown if alpha is None else ImageChops.multiply(shown, alpha)
        levels = [level for level, count in enumerate(shown.histogram()) if count]
        if not black_and_white(levels, 255):
            numbers = [level for level, count in enumerate(_numbers(mask, shown).histogram()) if count]
            raise UnclearMaskError(_unclear(numbers, 255))
        return shown
    table = [255 * any(first <= value <= last for first, last in spans) for value in range(256)]
    found = _numbers(mask, shown).point(table)
    return found if alpha is None else ImageChops.multiply(found, alpha)


def _deep_foreground(mask: Image.Image, spans: Spans | None) -> Image.Image:
    values, top = np.asarray(mask), 1 if mask.mode == "F" else 65535
    if np.isnan(values).any():
        raise ValueError("values that are not a number")
    if spans is None:
        levels = np.unique(values).tolist()
        if not black_and_white(levels, top):
            raise UnclearMaskError(_unclear(levels, top))
        spans = ((np.nextafter(top / 2, top), top),)
    inside = np.zeros(values.shape, dtype=bool)
    for first, last in spans:
        inside |= (values >= first) & (values <= last)
    if "transparency" in mask.info:
        inside &= values != mask.info["transparency"]
    return Image.fromarray(inside.astype(np.uint8) * 255)


def _brightest(mask: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the brightest channel of each pixel, and its opacity where some may be transparent."""
    if mask.mode in ("1", "L") and not mask.has_transparency_data:
        return mask.convert("L"), None
    alpha = mask.convert("RGBA").getchannel("A") if mask.has_transparency_data else None
    red, green, blue = mask.convert("RGBA" if alpha else "RGB").split()[:3]
    return ImageChops.lighter(ImageChops.lighter(red, green), blue), alpha


def _numbers(mask: Image.Image, shown: Image.Image) -> Image.Image:
    """Return the numbers that a mask stores: those of its palette, 0 and 1 of single bits, else what it shows."""
    return Image.fromarray(np.asarray(mask).astype(np.uint8)) if mask.mode in ("1", "P") else shown


def black_and_white(levels: Sequence[float], top: float) -> bool:
    """Say whether the ascending values of a mask are black alone, or bright ones with only black or blur beside."""
    brightest = levels[-1]
    if levels[0] >= 0 and brightest <= (1 if top == 1 else 0):
        return True  # a range of 1 has no room for numbers
    shades = [level for level in levels[:-1] if level > 0]
    bright = sum(level > top / 2 for level in shades)
    blurred = not shades or min(bright, len(shades) - bright) >= _SHADES
    return levels[0] >= 0 and top / 2 < brightest <= top and blurred


def listed(levels: Sequence[float]) -> str:
    """List ascending values for a message."""
    shown = [f"{level:g}" for level in levels]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:6], "...", shown[-1]])


def _unclear(levels: Sequence[float], top: int) -> str:
    return (
        f"its values are {listed(levels)}, where a black and white mask has 0 and {top}: say which of them are the "
        f"foreground, as in --mask-values 1 3-20, or 1-{top} for all but 0"
    )
