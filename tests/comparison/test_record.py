"""Means over seeds and paired differences: the same figures in every form, each with its way to a run folder."""

import io
import math
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.test_page import Page
from rich.console import Console
from scipy import stats

from unconfound.comparison.record import Cell, Comparison
from unconfound.evaluation.csv_table import table_frame
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.measures import BACKGROUND, Measure
from unconfound.report.comparison_page import interval_plot, verdicts, write_comparison
from unconfound.report.comparison_tables import (
    cells_table,
    markdown,
    remarks,
    summary_table,
    terminal_tables,
    write_tables,
)

PROBE = Measure("test", "linear_probe")


def cell(row, seed, value, *, background=None, **more):
    figure = Figure(value, value - 0.02, value + 0.02, 400)
    metrics = {"linear_probe": figure, "knn": figure, **more}
    gap = {} if background is None else {"background_gap": Figure(background, background, background, 400)}
    settings = {"seconds": {"embed": 0.5, "probe": 0.25}}
    evaluation = Evaluation(f"{row}, seed {seed}", {"test": metrics}, background=gap, settings=settings)
    return Cell(row, seed, f"{row}/seed-{seed}", "done", evaluation, seconds=12.3)


@pytest.fixture
def comparison():
    values = {"random": (0.50, 0.52, 0.51), "dacl+": (0.61, 0.64, 0.60), "a b": (0.52, 0.50, 0.53)}
    cells = [cell(row, seed, value) for row, each in values.items() for seed, value in enumerate(each)]
    cells[-1] = Cell("a b", 2, "a b/seed-2", "failed", error="a <b> | c")
    return Comparison(tuple(cells), "random")


def test_means_and_paired_differences_are_those_of_scipy(comparison):
    random, dacl, third = comparison.lines(PROBE)
    values, base = np.array([0.61, 0.64, 0.60]), np.array([0.50, 0.52, 0.51])
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert (dacl.mean - dacl.half, dacl.mean + dacl.half) == pytest.approx((low, high))
    paired = stats.ttest_rel(values, base).confidence_interval(0.95)
    assert dacl.difference - dacl.difference_half == pytest.approx(paired.low)
    assert dacl.difference + dacl.difference_half == pytest.approx(paired.high)
    assert (dacl.pairs, dacl.verdict) == (3, "above")
    # Of the third row one seed failed: the difference counts the two that both rows have.
    assert (len(third.cells), third.pairs, third.verdict) == (2, 2, "")
    assert third.difference == pytest.approx(0.0)
    assert (random.pairs, random.difference, random.verdict) == (0, None, "")


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.randoms(),
)
def test_the_order_of_seeds_does_not_matter_and_roles_can_be_swapped(first, second, random):
    cells = [cell("a", seed, value) for seed, value in enumerate(first)]
    cells += [cell("b", seed, value) for seed, value in enumerate(second)]
    there = Comparison(tuple(cells), "a").lines(PROBE)[1]
    back = Comparison(tuple(cells), "b").lines(PROBE)[0]
    assert there.difference == pytest.approx(-back.difference)
    assert there.difference_half == pytest.approx(back.difference_half)
    shuffled = sorted(cells, key=lambda each: (each.row, random.random()))
    assert Comparison(tuple(shuffled), "a").lines(PROBE)[1].difference == pytest.approx(there.difference)


def test_a_row_is_below_where_its_interval_is():
    cells = [cell("a", seed, 0.5 + seed / 100) for seed in range(3)]
    cells += [cell("b", seed, 0.4 + seed / 100) for seed in range(3)]
    assert Comparison(tuple(cells), "a").lines(PROBE)[1].verdict == "below"


def test_one_seed_has_no_interval_and_says_so():
    comparison = Comparison((cell("a", 0, 0.5), cell("b", 0, 0.625)), "a")
    line = comparison.lines(PROBE)[1]
    assert (line.half, line.difference, line.difference_half, line.verdict) == (None, 0.125, None, "")
    assert remarks(comparison) == ["one seed gives no interval: a, b"]
    assert "| b | 62.5 | +12.5 |" in markdown(comparison, command="c", hardware="h")
    assert "one seed, which shows no spread" in verdicts("probe", comparison.lines(PROBE), comparison)[1]
    assert "nan" not in markdown(comparison, command="c", hardware="h").lower()


def test_rows_without_a_common_seed_have_no_difference():
    comparison = Comparison((cell("a", 0, 0.5), cell("b", 1, 0.6)), "a")
    assert comparison.lines(PROBE)[1].difference is None
    assert "| b | 60.0 | - |" in markdown(comparison, command="c", hardware="h")


def test_what_is_shown_by_default_and_on_demand():
    group = Figure(0.3, 0.2, 0.4, 40)
    first = cell("a", 0, 0.5, background=0.1, worst_group=group, svm=group)
    first.evaluation.tests["other"] = dict(first.evaluation.tests["test"])
    shown = Comparison((first,), "a").measures()
    assert shown == [
        *(PROBE, Measure("other", "linear_probe"), Measure("test", "svm"), Measure("other", "svm")),
        *(Measure(BACKGROUND, "background_gap"), Measure("test", "worst_group")),
    ]
    asked = Comparison((first,), "a", ("worst_group", "r_precision"))
    assert asked.measures() == [Measure("test", "worst_group"), Measure("other", "worst_group")]
    assert "no cell has a figure of r_precision" in remarks(asked)
    assert Measure(BACKGROUND, "background_gap").title == "gap, mixed-same minus mixed-rand (points)"


def test_all_forms_hold_the_same_figures_and_every_link_leads_to_a_run(comparison, tmp_path):
    for each in comparison.cells:
        (tmp_path / each.run).mkdir(parents=True)
    write_tables(tmp_path, comparison, command="unconfound compare", hardware="two cores")
    configs = {row: {"method": row, "training": {"epochs": 3}} for row in comparison.rows}
    path = write_comparison(
        tmp_path / "report.html", comparison, configs=configs, command="unconfound compare", environment={"a": "b"}
    )
    page, text = Page(path.read_text()), (tmp_path / "comparison.md").read_text()
    console = Console(width=100, file=io.StringIO())
    console.print(terminal_tables(comparison))
    printed = console.file.getvalue()

    cells = pd.read_csv(tmp_path / "comparison.csv")
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("row")
    known = table_frame(cells_table(comparison)).drop(columns="error")
    pd.testing.assert_frame_equal(cells.drop(columns="error"), known, check_dtype=False)
    assert len(table_frame(summary_table(comparison))) == 3
    for row, each in cells[cells["metric"] == "linear_probe"].groupby("row"):
        assert summary.loc[row, "mean"] == pytest.approx(each["value"].mean())
        assert summary.loc[row, "seeds"] == len(each)
    for row, told in summary.iterrows():
        mean = f"{100 * told['mean']:.1f} ± {100 * told['half_width']:.1f}"
        difference = "baseline"
        if row != "random":
            difference = f"{100 * told['difference']:+.1f} ± {100 * told['difference_half_width']:.1f}"
        assert re.search(rf"^\| {re.escape(row)} \| {mean} \| {re.escape(difference)}", text, re.MULTILINE)
        assert re.search(rf"^{re.escape(row)} +{mean} +{re.escape(difference)}", printed, re.MULTILINE)
        assert re.search(rf"{re.escape(row)} {mean} {re.escape(difference)}", page.text)
    assert math.isnan(summary.loc["random", "difference"])

    done = {each.run for each in comparison.cells if each.status == "done"}
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    for found in (links, re.findall(r"\]\(([^)]+)\)", text)):
        assert {unquote(link).rstrip("/") for link in found} == done
        assert all((tmp_path / unquote(link)).is_dir() for link in found)
    assert max(map(len, printed.splitlines())) <= 100


def test_untrusted_words_are_text(comparison, tmp_path):
    path = write_comparison(
        tmp_path / "report.html",
        comparison,
        configs={row: {"data": {"label": f"<script>{row}"}} for row in comparison.rows},
        command="<script>",
        environment={"<script>": "<script>"},
    )
    page = Page(path.read_text())
    assert page.all("script") == []
    assert "failed: a b, seed 2: a <b> | c" in page.text
    assert "a &lt;b> \\| c" in markdown(comparison, command="c", hardware="h")


def test_the_page_can_be_read_by_keyboard_and_screen_reader_and_loads_nothing(comparison, tmp_path):
    configs = {row: {"method": row, "training": {"epochs": 3, "seeds": [1, 2]}} for row in comparison.rows}
    page = Page(
        write_comparison(
            tmp_path / "report.html", comparison, configs=configs, command="c", environment={"a": "b"}
        ).read_text()
    )
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "href"):
            target = attributes.get(name, "")
            assert not target or target.startswith(("a%20b", "dacl", "random")) or target.lstrip("#") in identifiers
        assert "src" not in attributes
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert all("scope" in header for header in page.all("th"))
    assert all(drawing.get("role") == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert "epochs" in page.text
    half = 100 * comparison.lines(PROBE)[1].difference_half
    assert f"dacl+ is 10.7 points above random (± {half:.1f}, 3 seeds)." in page.text
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.0, 1.0), (0.25,)])
def test_the_drawing_keeps_inside_its_frame(values):
    comparison = Comparison(tuple(cell("a", seed, value) for seed, value in enumerate(values)), "a")
    drawing = interval_plot("t", comparison.lines(PROBE), comparison)
    places = [float(place) for place in re.findall(r' (?:x|x1|x2|cx)="([-\d.]+)"', drawing)]
    assert 0 <= min(places) <= max(places) <= 360
    assert "nan" not in drawing.lower()


def test_nothing_done_is_said_and_not_drawn(tmp_path):
    comparison = Comparison((Cell("a", 0, "a/seed-0"), Cell("b", 0, "b/seed-0", "failed", error="no")), "a")
    write_tables(tmp_path, comparison, command="c", hardware="h")
    assert list(pd.read_csv(tmp_path / "comparison.csv")["status"]) == ["waiting", "failed"]
    path = write_comparison(Path(tmp_path / "r.html"), comparison, configs={}, command="c", environment={})
    page = Page(path.read_text())
    assert page.all("svg") == []
    assert "failed: b, seed 0: no" in page.text
    assert "still to come: a, seed 0" in page.text


def test_classifiers_come_first_masks_last_and_validation_after_all_tests():
    half = Figure(0.5, 0.4, 0.6, 400)
    own = {
        metric: half
        for metric in ("linear_probe", "classifier", "knn", "worst_group", "worst_group_classifier", "average_group")
    }
    evaluation = Evaluation(
        "cim, seed 0",
        {"validation": own, "test": own, "other": own},
        background={"background_gap": half, "background_gap_classifier": half, "adversarial_share": half},
        morph={"mask_foreground": half, "mask_background": half, "mask_difference": half},
    )
    comparison = Comparison((Cell("cim", 0, "cim/seed-0", "done", evaluation),), "cim")
    assert [measure.title for measure in comparison.measures()] == [
        "trained classifier, test (%)",
        "trained classifier, other (%)",
        "linear probe, test (%)",
        "linear probe, other (%)",
        "gap of the classifier, mixed-same minus mixed-rand (points)",
        "gap, mixed-same minus mixed-rand (points)",
        "foregrounds that no background fools (%)",
        "worst group of the classifier, test (%)",
        "worst group, test (%)",
        "mean of the mask on the foreground (%)",
        "mean of the mask on the background (%)",
        "trained classifier, validation (not a test) (%)",
        "linear probe, validation (not a test) (%)",
    ]
    asked = Comparison(comparison.cells, "cim", metrics=("mask_difference", "worst_group_classifier"))
    assert [measure.title for measure in asked.measures()] == [
        "mean of the mask, foreground minus background (points)",
        "worst group of the classifier, test (%)",
        "worst group of the classifier, other (%)",
        "worst group of the classifier, validation (not a test) (%)",
    ]
    assert len(table_frame(cells_table(comparison))) == 3 * len(own) + 3 + 3


def test_of_unseen_classes_retrieval_is_shown_by_default():
    half = Figure(0.5, 0.4, 0.6, 400)
    found = {"precision_at_1": half, "r_precision": half, "map_at_r": half}
    evaluation = Evaluation(
        "dcml, seed 0",
        {"test": found, "seen": found | {"linear_probe": half}, "validation": found},
        background={"background_gap_map_at_r": half, "map_at_r_crossed": half},
    )
    comparison = Comparison((Cell("dcml", 0, "dcml/seed-0", "done", evaluation),), "dcml")
    assert [measure.title for measure in comparison.measures()] == [
        "linear probe, seen (%)",
        "precision at 1, test (%)",
        "R-precision, test (%)",
        "MAP@R, test (%)",
        "gap of MAP@R, mixed-same minus mixed-rand (points)",
        "MAP@R, original searching mixed-rand (%)",
        "precision at 1, validation (not a test) (%)",
        "R-precision, validation (not a test) (%)",
        "MAP@R, validation (not a test) (%)",
    ]
