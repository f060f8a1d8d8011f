"""The masks of COCO's annotations: polygons and runs, filled in without another library.

Both forms of runs go down the columns of the image, first background, then object, and so on by turns. The compressed
form writes each length in digits of 5 bits, the lowest first, each in a character above "0" whose bit 32 says that
another digit follows; from the fourth length on, what is written is the difference to the length before the last.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from unconfound.data.images.decoding import PIXEL_LIMIT

# Polygons of [points, 2] (column, row), or the lengths of runs.
Segmentation = tuple[np.ndarray, ...] | np.ndarray


def read_segmentation(described: object, height: int, width: int) -> Segmentation:
    """Read the `segmentation` of an annotation.

    Args:
        described: a list of polygons, each a list of column, row, column, row, ...; or a dictionary of `size`
            (height and width) and `counts`, which are a list of lengths or a string.
        height: of the image.
        width: of the image.

    Raises:
        ValueError: it is neither, or does not fit the image.
    """
    if isinstance(described, list) and described:
        return tuple(_polygon(corners) for corners in described)
    if not isinstance(described, dict) or "counts" not in described:
        raise ValueError("its segmentation is neither a list of polygons nor runs (counts and size)")
    if described.get("size") != [height, width]:
        raise ValueError(f"its runs have the size {described.get('size')}, its image {[height, width]}")
    counts = described["counts"]
    lengths = read_runs(counts) if isinstance(counts, str) else np.array(counts)
    if lengths.ndim != 1 or lengths.dtype.kind != "i" or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"its runs do not add up to the {height * width:,} pixels of its image")
    return lengths.astype(np.int64)


def segmentation_mask(segmentation: Segmentation, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of an object: those that any of its polygons covers, or those of its runs."""
    if isinstance(segmentation, np.ndarray):
        return run_mask(segmentation, height, width)
    mask = np.zeros((height, width), dtype=bool)
    for polygon in segmentation:
        mask |= polygon_mask(polygon, height, width)
    return mask


def segmentation_area(segmentation: Segmentation, height: int, width: int) -> int:
    """Return how many pixels an object has, those of runs without filling them in.

    Raises:
        ValueError: the image is too large to fill polygons in.
    """
    if isinstance(segmentation, np.ndarray):
        return int(segmentation[1::2].sum())
    if height * width > PIXEL_LIMIT:
        raise ValueError(f"{width} x {height} pixels are more than {PIXEL_LIMIT // 10**6} megapixels")
    return int(segmentation_mask(segmentation, height, width).sum())


def has_area(segmentation: Segmentation, height: int, width: int) -> bool:
    """Say whether an object has pixels beyond doubt, without filling it in: False may be a thin or small one."""
    if isinstance(segmentation, np.ndarray):
        return bool(segmentation[1::2].any())
    # Clipped to the image, a polygon outside of it has no area. A strip between two lines of centres has no more than
    # the image is long.
    return any(_clipped_area(polygon, height, width) > height + width for polygon in segmentation)


def _clipped_area(polygon: Float64[np.ndarray, "points 2"], height: int, width: int) -> float:
    # Corners as complex numbers, whose products hold the areas: np.clip and np.roll take four times as long, and some
    # 200,000 objects of COCO pass here.
    corners = np.minimum(np.maximum(polygon, 0), np.array((width, height), dtype=np.float64)).view(np.complex128)[:, 0]
    before, after = corners[:-1], corners[1:]
    closing = (corners[-1].conjugate() * corners[0]).imag
    return float(abs(np.vdot(before, after).imag + closing) / 2)


def segmentation_box(segmentation: Segmentation, height: int, width: int) -> tuple[float, float, float, float]:
    """Return left, top, width and height of an object that has a pixel."""
    mask = segmentation_mask(segmentation, height, width)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return float(left), float(top), float(columns[-1] + 1 - left), float(rows[-1] + 1 - top)


def polygon_mask(polygon: Float64[np.ndarray, "points 2"], height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Return the pixels whose centre lies inside of a polygon, by the even-odd rule.

    The pixel in row r and column c has its centre at (c + 0.5, r + 0.5), as COCO counts. Its own library traces the
    outline on a grid of fifths of a pixel, so that single pixels of the outline may differ.

    Args:
        polygon: column and row of each corner; it is closed from the last to the first.
        height: of the image.
        width: of the image.
    """
    start, end = polygon, np.roll(polygon, -1, axis=0)
    top, bottom = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # Rows whose centre lies in [top, bottom): an edge along a row crosses none, and a corner is counted once.
    first = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
    crossed = np.clip(np.ceil(bottom - 0.5), 0, height).astype(np.int64) - first
    edge = np.repeat(np.arange(len(polygon)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
    run, rise = (end - start)[edge].T
    column = start[edge, 0] + (row + 0.5 - start[edge, 1]) * run / rise
    # Inside and outside change places at the first centre that is not left of the crossing.
    changes = np.zeros((height, width + 1), dtype=np.uint8)
    np.bitwise_xor.at(changes, (row, np.clip(np.ceil(column - 0.5), 0, width).astype(np.int64)), 1)
    return np.bitwise_xor.accumulate(changes[:, :width], axis=1).astype(bool)


def run_mask(lengths: Int64[np.ndarray, " runs"], height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of every second run, down the columns."""
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def read_runs(text: str) -> Int64[np.ndarray, " runs"]:
    """Read the lengths of runs in the compressed form.

    Raises:
        ValueError: the string ends within a length, or holds a character that is no digit.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - ord("0")
        if not 0 <= digit < 64 or shift > 60:
            raise ValueError(f"its compressed runs hold {character!r}, which is no part of a length")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:  # the highest bit of the last digit is the sign
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("its compressed runs end within a length")
    if any(not 0 <= length < 2**40 for length in lengths):
        raise ValueError("its compressed runs hold a length that is negative or larger than any image")
    return np.array(lengths, dtype=np.int64)


def _polygon(corners: object) -> Float64[np.ndarray, "points 2"]:
    try:
        values = np.array(corners, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim != 1 or len(values) == 0 or len(values) % 2 or not np.isfinite(values).all():
        raise ValueError("one of its polygons is not a list of column, row, column, row, ... in pixels")
    return values.reshape(-1, 2)
