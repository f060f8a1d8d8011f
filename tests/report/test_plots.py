import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from unconfound.evaluation.figures import Figure
from unconfound.report.plots import curve_plot, gap_plot


def parsed(svg):
    root = ElementTree.fromstring(str(svg))
    texts = ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")]
    return root, texts


def test_gaps_are_bars_in_proportion_with_names_and_intervals():
    svg = gap_plot(["<b>&$x", "y"], [Figure(0.3, 0.25, 0.35, 9), Figure(-0.1, -0.12, 0.02, 9)])
    root, texts = parsed(svg)
    assert "<b>&$x" in texts
    assert "30.0 [25.0, 35.0]" in texts
    assert "-10.0 [-12.0, 2.0]" in texts
    assert "<b>&$x 30.0 [25.0, 35.0] points" in root.attrib["aria-label"]
    bars = [each.attrib["d"] for each in root.iter() if "fill: var(--accent)" in each.attrib.get("style", "")]
    widths = [np.ptp([float(x) for x in re.findall(r"[ML] (\S+) ", bar)]) for bar in bars]
    assert len(widths) == 2
    np.testing.assert_allclose(widths[0] / widths[1], 3, rtol=1e-4)


def test_colours_come_from_the_page():
    svg = str(gap_plot(["a"], [Figure(0.0, 0.0, 0.0, 1)]))
    assert not re.findall(r"#[0-9a-f]{6}\b(?!\")", svg)
    assert "var(--ink)" in svg
    assert "<style" not in svg


def test_a_curve_names_its_phases_and_leaves_out_what_is_no_number():
    steps = np.arange(2000)
    frame = pd.DataFrame(
        {
            "step": steps,
            "phase": np.where(steps % 2, "encoder", "weights"),
            "loss": np.where(steps < 10, np.nan, 5.0),
        }
    )
    frame.loc[20, "loss"] = np.inf
    root, texts = parsed(curve_plot(frame, "loss", prefix="p"))
    assert {"encoder", "weights", "step"} <= set(texts)
    assert root.attrib["aria-label"] == "Line chart of loss by step: from 5 to 5"
    svg = str(curve_plot(frame, "loss", prefix="p"))
    assert "nan" not in svg.lower()
    assert len(svg) < 40_000
    assert all(name.startswith("p-") for name in re.findall(r'<\w+ id="([^"]+)"', svg))


def test_a_curve_of_one_step_is_a_dot():
    root, _ = parsed(curve_plot(pd.DataFrame({"step": [1], "loss": [2.0]}), "loss", prefix="p"))
    assert any(each.tag.endswith("use") for each in root.iter())
