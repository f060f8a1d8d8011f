import re

import numpy as np

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


def test_names_on_a_map_do_not_cover_each_other():
    points = np.full((10, 2), 0.5)
    root, _ = parsed(map_plot(points, [(str(i), i, np.array([i])) for i in range(10)], label="l", named=True))
    lines = sorted(float(each.attrib["y"]) for each in root.iter() if each.tag.endswith("text"))
    assert np.diff(lines).min() >= 14 - 1e-6
