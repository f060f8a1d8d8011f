import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unconfound.data.images.coco_masks import (
    has_area,
    polygon_mask,
    read_runs,
    read_segmentation,
    run_mask,
    segmentation_box,
    segmentation_mask,
)


def _inside(polygon, column, row):
    """Even-odd rule, one edge after the other: how many edges lie to the left of the point."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 <= row) != (y1 <= row) and x0 + (row - y0) * (x1 - x0) / (y1 - y0) <= column:
            crossings += 1
    return crossings % 2 == 1


def _written(lengths):
    """Compressed runs, written as COCO describes them."""
    text = ""
    for place, length in enumerate(lengths):
        value = int(length) - (int(lengths[place - 2]) if place > 2 else 0)
        while True:
            digit, value = value & 31, value >> 5
            last = value == (-1 if digit & 16 else 0)
            text += chr(48 + digit + (0 if last else 32))
            if last:
                break
    return text


# Corners on a grid of quarters hit the centres of pixels and each other often.
@given(st.lists(st.tuples(st.integers(-12, 60), st.integers(-12, 50)), min_size=1, max_size=9))
def test_a_pixel_is_covered_where_its_centre_is_inside(corners):
    polygon = np.array(corners, dtype=np.float64) / 4
    mask = polygon_mask(polygon, 9, 11)
    expected = [[_inside(polygon, column + 0.5, row + 0.5) for column in range(11)] for row in range(9)]
    assert mask.tolist() == expected


def test_a_rectangle_has_its_area_and_place():
    mask = polygon_mask(np.array([[2.0, 1.0], [7.0, 1.0], [7.0, 4.0], [2.0, 4.0]]), 6, 10)
    assert mask.sum() == 15
    assert mask[1:4, 2:7].all()


@given(arrays(np.float64, (2, 2), elements=st.floats(-30, 60)))
def test_an_area_is_only_claimed_where_there_are_pixels(corners):
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    rectangle = (np.array([[left, top], [right, top], [right, bottom], [left, bottom]]),)
    inside = np.clip(np.array([left, right]), 0, 30), np.clip(np.array([top, bottom]), 0, 20)
    assert has_area(rectangle, 20, 30) == (np.ptp(inside[0]) * np.ptp(inside[1]) > 50)
    mask = segmentation_mask(rectangle, 20, 30)
    assert mask.any() or not has_area(rectangle, 20, 30)
    if mask.any():
        rows, columns = np.nonzero(mask)
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert segmentation_box(rectangle, 20, 30) == box


def test_parts_of_an_object_are_joined_even_where_they_overlap():
    parts = read_segmentation([[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]], 8, 8)
    mask = segmentation_mask(parts, 8, 8)
    assert mask.sum() == 16 + 16 - 4
    assert mask[3, 3]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_both_forms_of_runs_give_the_mask_back(mask):
    columns = mask.T.flatten()
    ends = np.flatnonzero(np.diff(np.concatenate([[False], columns]))) if len(columns) else []
    lengths = np.diff(np.concatenate([[0], ends, [len(columns)]])).astype(np.int64)
    assert np.array_equal(run_mask(lengths, *mask.shape), mask)
    for counts in (lengths.tolist(), _written(lengths)):
        read = read_segmentation({"size": list(mask.shape), "counts": counts}, *mask.shape)
        assert np.array_equal(segmentation_mask(read, *mask.shape), mask)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_compressed_lengths_of_any_size(lengths):
    assert read_runs(_written(lengths)).tolist() == lengths


def test_a_known_string():
    # 6, 1, 40, 4, 5, 4, 5, 4, 21: differences to the length before the last from the fourth on.
    assert read_runs("61X13mN000`0").tolist() == [6, 1, 40, 4, 5, 4, 5, 4, 21]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ([], "neither a list of polygons nor runs"),
        ("text", "neither a list of polygons nor runs"),
        ({"size": [4, 4]}, "neither a list of polygons nor runs"),
        ([[1, 2, 3]], "not a list of column, row"),
        ([[]], "not a list of column, row"),
        ([[1, 2, "x", 4]], "not a list of column, row"),
        ([[1, 2, float("nan"), 4]], "not a list of column, row"),
        ({"size": [4, 5], "counts": [16]}, r"its runs have the size \[4, 5\], its image \[4, 4\]"),
        ({"size": [4, 4], "counts": [3, 4]}, "do not add up to the 16 pixels"),
        ({"size": [4, 4], "counts": [20, -4]}, "do not add up"),
        ({"size": [4, 4], "counts": [8.0, 8.0]}, "do not add up"),
        ({"size": [4, 4], "counts": [10**30]}, "do not add up"),
        ({"size": [4, 4], "counts": "@"}, "negative"),
        ({"size": [4, 4], "counts": "P"}, "end within a length"),
        ({"size": [4, 4], "counts": "1 2"}, "hold ' '"),
        ({"size": [4, 4], "counts": "o" * 20}, "is no part of a length"),
    ],
)
def test_damaged_segmentations_are_refused(described, message):
    with pytest.raises(ValueError, match=message):
        read_segmentation(described, 4, 4)
