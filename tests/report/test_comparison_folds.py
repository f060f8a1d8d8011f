"""Tables of folds: means over folds and seeds, on every page and within a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from report.test_page import Page
from unconfound.comparison.fold_summaries import Fold, fold_summaries
from unconfound.comparison.record import Cell, Comparison
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.result_table import markdown_table
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import fold_lines, fold_records, fold_tables, markdown, terminal_tables

METRICS = ("precision_at_1", "r_precision", "map_at_r")


def evaluation(value, *, features=128, swapped=False):
    figure = Figure(value, value, value, 50)
    found = dict.fromkeys(METRICS, figure)
    background = {"background_gap_map_at_r": figure, "map_at_r_crossed": figure} if swapped else {}
    tests = {"test": found, "validation": found}
    return Evaluation("a", tests, background=background, settings={"features": features})


def fold(row, seed, values, *, together=True, **options):
    cells = tuple(
        Cell(
            row,
            seed,
            f"fold {number}/{row}/seed-{seed}",
            "done",
            evaluation(value, **options),
            setting=f"fold {number}",
        )
        for number, value in enumerate(values)
    )
    both = {"each": evaluation(sum(values), features=256), "once": evaluation(sum(values) / 3, features=256)}
    return Fold("", row, seed, cells, both if together else {})


def comparison(folds, **options):
    made = Comparison(tuple(cell for each in folds for cell in each.cells), "cosface", **options)
    return Comparison(made.cells, "cosface", folds=tuple(fold_summaries(made, folds)), **options)


def test_means_over_folds_then_over_seeds():
    folds = [fold("cosface", 0, (0.1, 0.2)), fold("cosface", 1, (0.1, 0.3)), fold("dcml", 0, (0.2, 0.4))]
    tables = fold_summaries(comparison(folds), folds)
    assert [table.kind for table in tables] == ["separated", "each", "once"]
    assert [table.title for table in tables] == [
        "separated, the mean over 2 folds (128 features): test",
        "concatenated, 2 folds side by side, each normalised before (256 features): test",
        "concatenated, 2 folds side by side, normalised once (256 features): test",
    ]
    assert [measure.metric for measure, _ in tables[0].columns] == list(METRICS)
    for table, (cosface, dcml) in zip(tables, ((0.175, 0.3), (0.35, 0.6), (0.35 / 3, 0.2)), strict=True):
        lines = fold_lines(table)
        assert list(lines) == ["cosface", "dcml"]
        assert lines["cosface"][2].mean == pytest.approx(cosface)
        assert lines["cosface"][2].half is not None
        assert lines["dcml"][2].mean == pytest.approx(dcml)
        # One seed in common.
        assert lines["dcml"][2].pairs == 1


def test_a_row_that_lacks_what_others_have_is_left_out_there():
    folds = [fold("cosface", 0, (0.1, 0.2)), fold("dcml", 0, (0.2, 0.4), together=False)]
    found = {table.kind: list(fold_lines(table)) for table in fold_summaries(comparison(folds), folds)}
    assert found == {"separated": ["cosface", "dcml"], "each": ["cosface"], "once": ["cosface"]}
    assert fold_summaries(comparison([]), []) == []


def test_rows_of_other_widths_have_no_number_of_features():
    folds = [fold("cosface", 0, (0.1, 0.2)), fold("dcml", 0, (0.2, 0.4), features=64)]
    assert fold_summaries(comparison(folds), folds)[0].title == "separated, the mean over 2 folds: test"


def test_swapped_backgrounds_have_a_table_of_their_own_and_metrics_are_those_asked_for():
    folds = [fold("cosface", 0, (0.1, 0.2), swapped=True)]
    tables = fold_summaries(comparison(folds), folds)
    assert tables[1].title == "separated, the mean over 2 folds (128 features)"
    assert [measure.metric for measure, _ in tables[1].columns] == ["background_gap_map_at_r", "map_at_r_crossed"]
    asked = fold_summaries(comparison(folds, metrics=("map_at_r",)), folds)
    assert [[measure.metric for measure, _ in table.columns] for table in asked] == [["map_at_r"]] * 3


def test_all_writers_show_them(tmp_path):
    folds = [fold(row, seed, (0.1 + seed / 100, 0.2), swapped=True) for row in ("cosface", "dcml") for seed in (0, 1)]
    made = comparison(folds, labels={"dcml": "dcml*, chosen"}, fold_notes=("not evaluated together: a",))
    assert "| dcml\\*, chosen | 15.3 ± 3.2 | +0.0 ± 0.0 |" in markdown_table(fold_tables(made)[0])
    assert "separated, the mean over 2 folds" in (text := markdown(made, command="c", hardware="h"))
    assert "- not evaluated together: a" in text
    each, summed = fold_records(made)
    assert len(each.rows) == 2 * 2 * (5 + 3 + 3)
    assert len(summed.rows) == 2 * (5 + 3 + 3)
    console = Console(width=100, file=io.StringIO())
    console.print(terminal_tables(made))
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= 100
    assert "…" not in printed
    assert "separated, the mean over 2 folds (128 features): test" in printed
    path = write_comparison(tmp_path / "r.html", made, configs={}, command="c", environment={})
    page = path.read_text(encoding="utf-8")
    assert page.count('id="folds-') == 4 + 1
    assert "dcml*, chosen" in page
    Page(page)


def test_the_page_begins_with_the_means_over_folds(tmp_path):
    folds = [fold(row, seed, (0.1 + seed / 100, 0.2)) for row in ("cosface", "dcml") for seed in (0, 1)]
    path = write_comparison(tmp_path / "r.html", comparison(folds), configs={}, command="c", environment={})
    page = path.read_text(encoding="utf-8")
    assert "By separated, the mean over 2 folds (128 features): MAP@R, test (%):" in page
