import re
from xml.etree import ElementTree

import pytest

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report import Entry
from unconfound.report.group_plots import REACH, group_columns, group_plot, ranked_groups


def figure(value):
    return Figure(value, value - 0.1, value + 0.05, 100)


@pytest.fixture
def columns():
    probe = {"land & <water>": figure(0.6), "land": figure(0.9)}
    own = Evaluation("cim", {}, {"test": probe}, classifier_groups={"test": {"land": figure(0.3)}})
    entries = [Entry(Evaluation("none", {}), {}), Entry(own, {}), Entry(Evaluation("b", {}, {"test": probe}), {})]
    return group_columns(entries, test="test")


def test_an_encoders_classifier_comes_before_its_probe_in_the_same_colour(columns):
    assert [(each.encoder, each.predictor, each.colour) for each in columns] == [
        ("cim", "trained classifier", 1),
        ("cim", "linear probe", 1),
        ("b", "linear probe", 2),
    ]
    assert ranked_groups(columns) == ["land", "land & <water>"]
    assert columns[1].worst == "land & <water>"


def test_bars_and_intervals_are_in_proportion(columns):
    root = ElementTree.fromstring(str(group_plot(columns)))
    assert "cim, trained classifier: worst land 30.0 [20.0, 35.0]" in root.attrib["aria-label"]
    bars = [each for each in root.iter() if each.tag.endswith("rect")]
    # A group that a predictor did not see has no bar.
    assert [float(bar.attrib["width"]) / REACH for bar in bars] == pytest.approx([0.3, 0.9, 0.9, 0.6, 0.6], abs=1e-3)
    filled = ["fill:var(--colour" in bar.attrib["style"] for bar in bars]
    assert filled == [True, False, False, False, False]
    assert [re.search(r"stroke:var\(--colour-(\d)", bar.attrib["style"])[1] for bar in bars] == [
        "1",
        "1",
        "2",
        "1",
        "2",
    ]
    whiskers = [each.attrib["d"] for each in root.iter() if each.attrib.get("class") == "reach"]
    low, high, *_ = (float(x) / REACH for x in re.findall(r"M(\S+) ", whiskers[0]))
    assert (low, high) == (pytest.approx(0.2, abs=1e-3), pytest.approx(0.35, abs=1e-3))
    texts = ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")]
    assert "land & <water>" in texts
    assert texts.count("90.0") == 2


def test_of_many_groups_the_lowest_are_drawn():
    many = {f"g{place}": figure(0.2 + place / 50) for place in range(30)}
    columns = group_columns([Entry(Evaluation("a", {}, {"test": many}), {})], test="test")
    svg = str(group_plot(columns))
    assert svg.count("<rect") == 12
    assert ">g11<" in svg
    assert ">g12<" not in svg
