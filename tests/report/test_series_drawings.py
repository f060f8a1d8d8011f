import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unconfound.report.series_drawings import HEIGHT, MARGIN, WIDTH, draw_lines, heat_map, series_length

FLOOR, TOP = HEIGHT - MARGIN, MARGIN


def lines(drawing):
    return [
        np.array([[float(x), float(y)] for x, y in re.findall(r"(\d+) (\d+)", path)])
        for path in re.findall(r' d="M([^"]*)"', str(drawing))
    ]


def test_each_channel_is_a_line_on_its_own_scale():
    values = np.stack([np.arange(5.0), 1000 - np.arange(5.0) ** 2], 1).astype(np.float32)
    drawing = draw_lines(values, label="two")
    rising, falling = lines(drawing)
    np.testing.assert_allclose(rising[:, 0], np.linspace(MARGIN, WIDTH - MARGIN, 5), atol=0.5)
    np.testing.assert_allclose(rising[:, 1], np.linspace(FLOOR, TOP, 5), atol=0.5)
    np.testing.assert_allclose(falling[:, 1], TOP + np.arange(5) ** 2 / 16 * (FLOOR - TOP), atol=0.5)
    assert re.findall("colour-(.)", drawing) == ["0", "1"]
    assert 'aria-label="two: 5 steps"' in drawing


def test_no_peak_of_a_long_series_is_lost():
    values = np.zeros((10_000, 1), np.float32)
    values[7777] = 1
    (line,) = lines(draw_lines(values, label="peak"))
    assert len(line) < 400
    (peak,) = line[line[:, 1] == TOP]
    assert abs(peak[0] - (MARGIN + 0.7777 * (WIDTH - 2 * MARGIN))) < 3


def test_a_constant_series_is_a_line_and_one_step_a_dot():
    (line,) = lines(draw_lines(np.full((9, 1), 3.5, np.float32), label="c"))
    assert set(line[:, 1]) == {HEIGHT // 2}
    dot = draw_lines(np.array([[7.0]], np.float32), label="d")
    assert f'd="M{WIDTH // 2} {HEIGHT // 2}h0"' in dot
    assert series_length(np.zeros((1, 3), np.float32)) == "1 step"
    assert series_length(np.zeros((1200, 3), np.float32)) == "1,200 steps"


def test_many_channels_are_an_image_with_the_first_at_the_bottom():
    values = np.zeros((30, 8), np.float32)
    values[20:, 0] = 1
    image = heat_map(values)
    assert image.shape == (3, 8, 30)
    bright, dark = image[:, -1, 25], image[:, 0, 0]
    assert bright.tolist() == [253, 231, 36]
    assert dark.tolist() == [68, 1, 84]
    assert (image[:, -1, :20] == dark[:, None]).all()
    assert (image[:, :-1] == dark[:, None, None]).all()


@pytest.mark.parametrize(("time", "channels"), [(1, 7), (1, 500), (5000, 7)])
def test_any_length_makes_an_image_of_bounded_size(time, channels):
    image = heat_map(np.random.default_rng(0).normal(size=(time, channels)).astype(np.float32))
    assert image.shape == (3, min(channels, 96), min(time, 160))
    assert heat_map(np.full((time, channels), 2.0, np.float32)).flatten(1).unique(dim=1).shape[1] == 1


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 700), st.just(1)), elements=st.floats(-(2.0**100), 2.0**100, width=32)
    )
)
def test_every_series_fits_the_frame(values):
    (line,) = lines(draw_lines(values, label="any"))
    assert ((line >= [MARGIN, TOP]) & (line <= [WIDTH - MARGIN, FLOOR])).all()
    assert (np.diff(line[:, 0]) >= 0).all()
