"""Several settings: their average over the same seeds first, then each; the validation part last of all."""

import io

import numpy as np
import pytest
from report.test_page import Page
from rich.console import Console
from scipy import stats

from unconfound.comparison.average import AVERAGE, averaged, parts
from unconfound.comparison.record import Cell, Comparison
from unconfound.evaluation.csv_table import table_frame
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.measures import Measure
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import cells_table, markdown, remarks, summary_table, terminal_tables

PROBE = Measure("test", "linear_probe")
VALUES = {
    ("photo", "erm"): (0.5, 0.6, 0.7),
    ("photo", "cim"): (0.6, 0.8, 0.7),
    ("sketch", "erm"): (0.2, 0.1, 0.3),
    ("sketch", "cim"): (0.3, 0.1, 0.1),
}


def cell(setting, row, seed, value, **more):
    figure = Figure(value, value - 0.02, value + 0.02, 100)
    tests = {"validation": {"linear_probe": Figure(0.9, 0.8, 1.0, 50)}, "test": {"linear_probe": figure}}
    evaluation = Evaluation(f"{setting}, {row}, seed {seed}", tests, background={"background_gap": figure})
    run = f"{setting}/{row}/seed-{seed}"
    return Cell(row, seed, run, "done", evaluation, seconds=2.0, setting=setting, **more)


@pytest.fixture
def cells():
    return [cell(*where, seed, value) for where, each in VALUES.items() for seed, value in enumerate(each)]


def test_an_interval_of_the_average_is_over_seeds_and_not_over_settings(cells):
    comparison = Comparison(tuple(cells), "erm")
    assert comparison.settings == ("photo", "sketch")
    with pytest.raises(ValueError, match="in one setting, not in 2"):
        comparison.lines(PROBE)
    erm, cim = averaged(comparison).lines(PROBE)
    base, values = (np.mean([VALUES[setting, row] for setting in ("photo", "sketch")], 0) for row in ("erm", "cim"))
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert (cim.mean - cim.half, cim.mean + cim.half) == pytest.approx((low, high))
    paired = stats.ttest_rel(values, base).confidence_interval(0.95)
    assert (cim.difference - cim.difference_half, cim.difference + cim.difference_half) == pytest.approx(paired)
    assert (len(cim.cells), cim.pairs, erm.pairs) == (3, 3, 0)


def test_a_seed_counts_in_the_average_where_every_setting_has_it(cells):
    cells[-1] = Cell("cim", 2, "sketch/cim/seed-2", "failed", error="no", setting="sketch")
    comparison = Comparison(tuple(cells), "erm")
    average, photo, sketch = (part.lines for part in parts(comparison)[::2][:3])
    assert [len(line.cells) for line in average] == [3, 2]
    assert [len(line.cells) for line in photo] == [3, 3]
    assert [len(line.cells) for line in sketch] == [3, 2]
    assert average[1].difference == pytest.approx(((0.45 - 0.35) + (0.45 - 0.35)) / 2)
    assert "an average over settings counts the seeds that a row has in every setting" in remarks(comparison)
    assert "failed: sketch, cim, seed 2: no" in remarks(comparison)


def test_every_form_shows_the_average_then_the_settings_then_validation(cells, tmp_path):
    comparison = Comparison(tuple(cells), "erm")
    titles = [part.title for part in parts(comparison)]
    shown = ("linear probe, test (%)", "gap, mixed-same minus mixed-rand (points)")
    wanted = [f"{where}: {title}" for where in (AVERAGE, "photo", "sketch") for title in shown]
    assert titles[:6] == wanted
    assert all("validation (not a test)" in title for title in titles[6:])
    assert len(titles) == 9
    console = Console(width=100, file=io.StringIO())
    console.print(terminal_tables(comparison))
    path = write_comparison(tmp_path / "r.html", comparison, configs={}, command="c", environment={})
    text, page = markdown(comparison, command="c", hardware="h"), Page(path.read_text())
    for form in (console.file.getvalue(), text, page.text):
        flat = " ".join(form.split())
        places = [flat.index(title) for title in titles]
        assert places == sorted(places)
    assert text.count("[0](photo/erm/seed-0/)") == 3
    assert "| 0 1 2 |" in text
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert set(links) == {f"{each.run}/" for each in cells}
    assert page.text.startswith("cim against erm") or f"By {AVERAGE}: linear probe" in page.text

    frame, summary = table_frame(cells_table(comparison)), table_frame(summary_table(comparison))
    assert list(frame.columns[:3]) == ["setting", "row", "seed"]
    assert len(frame) == 12 * 3
    assert list(summary["setting"].unique()) == [AVERAGE, "photo", "sketch"]
    found = summary[(summary["setting"] == AVERAGE) & (summary["test"] == "test") & (summary["row"] == "cim")]
    assert found["mean"].item() == pytest.approx(np.mean([VALUES["photo", "cim"], VALUES["sketch", "cim"]]))


def test_one_setting_has_no_average_and_none_changes_nothing(cells):
    one = Comparison(tuple(each for each in cells if each.setting == "photo"), "erm")
    assert not any(AVERAGE in part.title for part in parts(one))
    assert parts(one)[0].title.startswith("photo: ")
    bare = Comparison((Cell("erm", 0, "erm/seed-0", "done", cells[0].evaluation),), "erm")
    assert parts(bare)[0].title == "linear probe, test (%)"
    assert not {"setting", "candidate", "chosen"} & set(table_frame(cells_table(bare)).columns)
    assert not {"setting", "label"} & set(table_frame(summary_table(bare)).columns)
