import re

import numpy as np
import pytest

from tests.report.test_plots import parsed
from unconfound.report.map_plot import map_plot


def test_every_point_is_a_dot_inside_the_map_and_rare_sets_lie_on_top():
    points = np.random.default_rng(0).random((50, 2)) * [1, 0.5]
    members = [("rare", 0, np.arange(5)), ("common", 1, np.arange(5, 45)), ("", -1, np.arange(45, 50))]
    root, texts = parsed(map_plot(points, members, label="l", named=True))
    paths = [each for each in root.iter() if each.tag.endswith("path")]
    assert [each.attrib["class"].split()[1] for each in paths] == ["colour-rest", "colour-1", "colour-0"]
    assert texts == ["common", "rare"]
    places = np.array([pair for each in paths for pair in re.findall(r"M(\S+) (\S+)h0", each.attrib["d"])], float)
    assert len(places) == 50
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert (places >= 0).all()
    assert (places <= [width, height]).all()
    assert parsed(map_plot(points, members, label="l", named=False))[1] == []


@pytest.mark.parametrize("name", ["", "class ", "a name of its own, long "])
def test_names_on_a_map_do_not_cover_each_other(name):
    points = np.random.default_rng(0).uniform(0.3, 0.7, (8, 2))
    points[0] = [1, 0.5]
    members = [(f"{number}{name}", number, np.array([number])) for number in range(8)]
    root, texts = parsed(map_plot(points, members, label="l", named=True))
    places = [(float(each.attrib["x"]), float(each.attrib["y"])) for each in root.iter() if each.tag.endswith("text")]
    boxes = [(x - 9 * len(text) / 2, x + 9 * len(text) / 2, y) for text, (x, y) in zip(texts, places, strict=True)]
    assert len(boxes) == 8
    for number, (left, right, y) in enumerate(boxes):
        assert left >= -0.1
        assert right <= 360.1
        for other_left, other_right, other_y in boxes[:number]:
            assert left >= other_right - 0.1 or right <= other_left + 0.1 or abs(y - other_y) >= 13.9
