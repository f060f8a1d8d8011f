"""Which values of a mask are its foreground: the bright ones of a black and white mask, or those that are stated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Num
from PIL import Image, ImageChops

from unconfound.spans import Spans

# What is asked of the shades of blur: the share of a JPEG near black and white, the share of shades that are no slope,
# and the levels on either side of half that a wide slope has.
_LEAST_EXTREME, _MOST_LEVEL, _MANY = 0.8, 0.25, 32


class UnclearMaskError(ValueError):
    """A mask that is not black and white, although nothing states which of its values are foreground."""


def foreground(mask: Image.Image, spans: Spans | None) -> Image.Image:
    """Return the foreground of a mask, above 127 of 255; transparent parts are background.

    Args:
        mask: of any mode.
        spans: which values are foreground. The values of a palette are its numbers, those of colours their brightest
            channel. None: the mask must be black and white, and is foreground above half of its range (255; 65,535
            for deep integers, 1 for floats). Shades between are fine where they are those of blur or of a JPEG.

    Raises:
        UnclearMaskError: nothing is stated, and the mask is not black and white.
        ValueError: a value is NaN.
    """
    if mask.mode.startswith("I") or mask.mode == "F":
        return _deep_foreground(mask, spans)
    shown, alpha = _brightest(mask)
    if spans is None:
        shown = shown if alpha is None else ImageChops.multiply(shown, alpha)
        # A JPEG with several frames (as of stereo cameras) has a format of its own.
        if not black_and_white(np.asarray(shown), 255, lossy=mask.format in ("JPEG", "MPO")):
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
        if not black_and_white(values, top):
            raise UnclearMaskError(_unclear(np.unique(values).tolist(), top))
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


def black_and_white(values: Num[np.ndarray, "height width"], top: float, *, lossy: bool = False) -> bool:
    """Say whether a mask is black alone, or bright on black with no more between them than blur leaves.

    Args:
        values: of the mask.
        top: white, the end of their range.
        lossy: whether they come from a JPEG, the noise of which is anywhere, but which holds no numbers.
    """
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > top:
        return False
    if high <= (1 if top == 1 else 0):
        return True  # a range of 1 has no room for numbers
    if lossy:
        return high > 0.75 * top and _share((values < top / 4) | (values > 0.75 * top)) > _LEAST_EXTREME
    return high > top / 2 and _blurred(values, high)


def _blurred(values: Num[np.ndarray, "height width"], high: float) -> bool:
    """Say whether the shades between 0 and the brightest value are slopes, as of blurred edges, and not areas.

    Numbers of classes and objects fill areas and end abruptly. A slope changes from pixel to pixel; where it is so wide
    that steps of 8 bits show as areas, it passes through many levels, and each step is small.
    """
    shades = (values > 0) & (values < high)
    if not shades.any():
        return True
    if _share((values > high / 8) & (values < high - high / 8)) > 0.5:
        return False
    down, across = values[1:] == values[:-1], values[:, 1:] == values[:, :-1]
    level = shades[:-1, :-1] & down[:, :-1] & across[:-1] & across[1:]
    if level.sum() <= _MOST_LEVEL * shades.sum():
        return True
    steps = np.abs(np.diff(values.astype(np.float64), axis=1))
    gentle = np.mean(steps[steps > 0] <= high / 16) if (steps > 0).any() else 0.0
    found = np.unique(values[shades] * (255 / high) // 1)
    return bool(gentle > 0.9 and min((found > 127).sum(), (found <= 127).sum()) >= _MANY)


def _share(which: Bool[np.ndarray, "height width"]) -> float:
    return float(which.mean())


def listed_levels(levels: Sequence[float]) -> str:
    """List ascending values for a message."""
    shown = [f"{level:g}" for level in levels]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:6], "...", shown[-1]])


def _unclear(levels: Sequence[float], top: int) -> str:
    last = max(top, levels[-1])
    advice = f"say which of them are the foreground, as in --mask-values 1 3-20, or 1-{last:g} for all but 0"
    if len(levels) > 8 and top / 2 < levels[-1] <= top:
        advice += f", or {top // 2 + 1}-{top} where they are shades of a black and white mask"
    return f"its values are {listed_levels(levels)}, where a black and white mask has 0 and {top}: {advice}"
