"""Candidates: the rule that chooses sees what it says it sees, and every table says which it was."""

import io
from dataclasses import replace

import pytest
from report.test_page import Page
from rich.console import Console

from unconfound.comparison.choice import RULES, choose, chosen_comparison
from unconfound.comparison.record import Cell
from unconfound.evaluation.csv_table import table_frame
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.measures import Measure
from unconfound.report.comparison_page import interval_plot, write_comparison
from unconfound.report.comparison_tables import cells_table, markdown, summary_table, terminal_tables

PROBE = Measure("test", "linear_probe")


def figure(value):
    return Figure(value, value, value, 100)


def cell(candidate, seed, test, *, row="cim", setting="", **validation):
    tests = {"test": {"linear_probe": figure(test)}}
    if validation:
        tests["validation"] = {metric: figure(value) for metric, value in validation.items()}
    run = "/".join(filter(None, (setting, ", ".join(filter(None, (row, candidate))), f"seed-{seed}")))
    return Cell(row, seed, run, "done", Evaluation(run, tests), setting=setting, candidate=candidate)


def without(cell, **accuracies):
    """The runs that judge a candidate: domain -> accuracy on it."""
    return [
        Cell(
            *(cell.row, cell.seed, cell.run.replace("/seed", f"/without {domain}/seed"), "done"),
            Evaluation(cell.run, {"validation": {"linear_probe": figure(value)}}),
            setting=cell.setting,
            candidate=cell.candidate,
            left_out=domain,
        )
        for domain, value in accuracies.items()
    ]


def test_each_rule_looks_at_its_own_figure_and_nothing_else():
    cells = [
        cell(
            "weight 1",
            0,
            0.5,
            linear_probe=0.6,
            classifier=0.9,
            worst_group=0.9,
            worst_group_classifier=0.1,
            map_at_r=0.1,
        ),
        cell(
            "weight 2",
            0,
            0.4,
            linear_probe=0.9,
            classifier=0.7,
            worst_group=0.1,
            worst_group_classifier=0.3,
            map_at_r=0.2,
        ),
        cell(
            "weight 3",
            0,
            0.9,
            linear_probe=0.7,
            classifier=0.8,
            worst_group=0.2,
            worst_group_classifier=0.2,
            map_at_r=0.3,
        ),
        cell(
            "weight 4", 0, 0.1, linear_probe=0.1, classifier=0.1, worst_group=0, worst_group_classifier=0, map_at_r=0.4
        ),
    ]
    # The mean counts, not the best domain, nor what the run that stands for the row reaches.
    for place, photo, sketch in ((0, 1.0, 0.1), (1, 0.8, 0.5), (2, 0.2, 0.9), (3, 0.3, 0.3)):
        cells += without(cells[place], photo=photo, sketch=sketch)
    found = {rule: choose(cells, rule)[0].candidate for rule in RULES if not RULES[rule].mean_of_groups}
    assert found == {
        "validation": "weight 1",
        "validation worst group": "weight 2",
        "validation MAP@R": "weight 4",
        "leave-one-domain-out": "weight 2",
        "oracle": "weight 3",
    }


def test_the_mean_of_groups_counts_small_groups_as_large_ones():
    # Pooled, the first has 0.78; over its groups 0.6. The second 0.7 and 0.7.
    first, second = cell("a", 0, 0.5, classifier=0.78, linear_probe=0.1), cell("b", 0, 0.5, classifier=0.7)
    groups = {"a": (0.9, 0.3), "b": (0.7, 0.7)}
    cells = [
        replace(
            each,
            evaluation=replace(
                each.evaluation,
                classifier_groups={
                    "validation": dict(zip(("photo", "sketch"), map(figure, groups[each.candidate]), strict=True)),
                    "test": {"photo": figure(float(each.candidate == "a"))},
                },
            ),
        )
        for each in (first, second)
    ]
    assert choose(cells, "validation")[0].candidate == "a"
    assert choose(cells, "validation mean of groups")[0].candidate == "b"
    # The probe judges where a row trains no classifier.
    probed = [
        replace(
            each, evaluation=replace(each.evaluation, classifier_groups={}, groups=each.evaluation.classifier_groups)
        )
        for each in cells
    ]
    assert choose(probed, "validation mean of groups")[0].candidate == "b"
    (none,) = choose([first, second], "validation mean of groups")
    assert none.status == "failed"
    assert none.error == (
        "no candidate of cim has a figure of mean accuracy of the groups in validation: the data need groups and a "
        "validation part (--validation-share 0.2)"
    )


def test_a_probe_judges_where_not_all_candidates_have_a_classifier():
    cells = [cell("a", 0, 0.5, linear_probe=0.6, classifier=0.9), cell("b", 0, 0.5, linear_probe=0.7)]
    assert choose(cells, "validation")[0].candidate == "b"


def test_choosing_is_per_seed_and_setting_and_the_first_of_equals_counts():
    cells = [
        cell(candidate, seed, 0.5, setting=setting, linear_probe=value)
        for setting, seed, values in (("x", 0, (0.1, 0.2)), ("x", 1, (0.2, 0.1)), ("y", 0, (0.3, 0.3)))
        for candidate, value in zip("ab", values, strict=True)
    ]
    chosen = choose(cells, "validation")
    assert [(each.setting, each.seed, each.candidate) for each in chosen] == [
        *(("x", 0, "b"), ("x", 1, "a"), ("y", 0, "a"))
    ]


def test_a_choice_waits_for_all_candidates_and_passes_failures_over():
    done, waiting = cell("a", 0, 0.5, linear_probe=0.6), Cell("cim", 0, "cim, b/seed-0", candidate="b")
    failed = Cell("cim", 0, "cim, c/seed-0", "failed", error="diverged", candidate="c")
    assert [each.status for each in choose([done, waiting, failed], "validation")] == ["waiting"]
    assert choose([failed, done], "validation") == (done,)
    (none,) = choose([failed, failed], "validation")
    assert (none.status, none.error) == ("failed", "diverged")


def test_leaving_domains_out_waits_for_all_runs_and_passes_over_whose_run_failed():
    first, second = cell("a", 0, 0.5), cell("b", 0, 0.5)
    runs = [*without(first, photo=0.9, sketch=0.9), *without(second, photo=0.1, sketch=0.2)]
    rule = "leave-one-domain-out"
    assert choose([first, second, *runs], rule) == (first,)
    waiting = replace(runs[0], status="waiting", evaluation=None)
    assert [each.status for each in choose([first, second, waiting, *runs[1:]], rule)] == ["waiting"]
    failed = replace(runs[0], status="failed", evaluation=None, error="diverged")
    assert choose([first, second, failed, *runs[1:]], rule) == (second,)
    neither = [replace(each, status="failed", evaluation=None, error="diverged") for each in runs]
    (none,) = choose([first, second, *neither], rule)
    assert (none.status, none.run) == ("failed", "")
    assert none.error == "each candidate failed without one of the domains, the first with: diverged"
    gone = replace(second, status="failed", evaluation=None, error="diverged")
    assert choose([gone, first, *runs], rule) == (first,)
    # Of equal means the first counts.
    assert choose([second, first, *without(second, photo=0.9, sketch=0.9), *runs[:2]], rule) == (second,)


def test_runs_that_judge_a_candidate_are_lines_of_the_csv_and_no_rows_or_seeds():
    cells = [cell("", 0, 0.5, row="erm"), cell("a", 0, 0.6), cell("b", 0, 0.7)]
    tried = [*cells, *without(cells[1], photo=0.9, sketch=0.9), *without(cells[2], photo=0.1, sketch=0.2)]
    comparison = chosen_comparison(tried, "erm", (), "", rule="leave-one-domain-out")
    assert [(line.row, line.mean, len(line.cells)) for line in comparison.lines(PROBE)] == [
        *(("erm", 0.5, 1), ("cim", 0.6, 1))
    ]
    assert [each.test for each in comparison.measures()] == ["test"]
    frame = table_frame(cells_table(comparison))
    assert list(frame["left_out"]) == ["", "", "", "photo", "sketch", "photo", "sketch"]
    assert list(frame["chosen"]) == [True, True, False, False, False, False, False]
    assert list(frame[frame["left_out"] != ""].groupby("candidate")["value"].mean()) == pytest.approx([0.9, 0.15])
    assert tried[3].title == "cim, a, without photo, seed 0"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("leave-one-domain-out", "no candidate of cim has an accuracy on each training domain left out"),
        ("validation", "the data need a validation part (--validation-share 0.2)"),
        ("validation worst group", "the data need groups and a validation part (--validation-share 0.2)"),
    ],
)
def test_nothing_to_choose_by_is_said(rule, expected):
    cells = [cell("a", 0, 0.5), cell("b", 0, 0.6)]
    comparison = chosen_comparison(cells, "cim", (), "", rule=rule)
    assert expected in comparison.cells[0].error
    assert [each.error for each in comparison.failed] == [comparison.cells[0].error]
    assert expected in markdown(comparison, command="c", hardware="h")


@pytest.mark.parametrize("rule", RULES)
def test_every_table_names_the_rule_and_lists_the_choices(rule, tmp_path):
    figures = {"linear_probe": 0.6, "worst_group": 0.5, "map_at_r": 0.4}
    cells = [
        cell("", seed, 0.5 + seed / 100, row="erm", linear_probe=0.5, worst_group=0.4, map_at_r=0.3)
        for seed in range(3)
    ]
    for seed, test in enumerate((0.7, 0.8, 0.6)):
        cells += [cell("weight 0.1", seed, test, **figures)]
        better = {key: value + (0.1 if seed == 1 else -0.1) for key, value in figures.items()}
        cells += [cell("weight 1.0", seed, test + (0.1 if seed == 1 else -0.1), **better)]
        if rule == "leave-one-domain-out":
            cells += without(cells[-2], photo=0.6) + without(cells[-1], photo=0.7 if seed == 1 else 0.5)
    if RULES[rule].mean_of_groups:
        cells = [
            replace(
                each,
                evaluation=replace(
                    each.evaluation,
                    groups={"validation": {"photo": each.evaluation.tests["validation"]["linear_probe"]}},
                ),
            )
            for each in cells
        ]
    comparison = chosen_comparison(cells, "erm", ("linear_probe",), "", rule=rule)
    erm, cim = comparison.lines(PROBE)
    assert [each.run for each in cim.cells] == [
        *("cim, weight 0.1/seed-0", "cim, weight 1.0/seed-1", "cim, weight 0.1/seed-2")
    ]
    assert cim.mean == pytest.approx((0.7 + 0.9 + 0.6) / 3)
    assert (erm.pairs, cim.pairs) == (0, 3)
    told = {
        "validation": "cim, chosen by validation accuracy",
        "validation worst group": "cim*, chosen with group labels",
        "validation mean of groups": "cim*, chosen by the mean of groups in validation",
        "validation MAP@R": "cim, chosen by validation MAP@R",
        "leave-one-domain-out": "cim, chosen by leaving one training domain out",
        "oracle": "cim, chosen on the test set (oracle)",
    }[rule]
    listed = f"chosen by {RULES[rule].figure}, of 2 candidates: cim: weight 0.1 (seed 0, 2); weight 1.0 (seed 1)"
    console = Console(width=200, file=io.StringIO())
    console.print(terminal_tables(comparison))
    path = write_comparison(tmp_path / "r.html", comparison, configs={}, command="c", environment={})
    text = markdown(comparison, command="c", hardware="h")
    printed = " ".join(console.file.getvalue().split())
    for form in (printed, text, Page(path.read_text()).text):
        assert listed in form
    assert told in text.replace("\\*", "*")
    assert told in Page(path.read_text()).text
    assert all(word in console.file.getvalue() for word in told.split())
    assert list(table_frame(summary_table(comparison))["label"].unique()) == ["erm", told]
    frame = table_frame(cells_table(comparison)).drop_duplicates("run")
    assert len(frame) == (15 if rule == "leave-one-domain-out" else 9)
    assert list(frame[frame["chosen"] & (frame["row"] == "cim")]["candidate"]) == [
        *("weight 0.1", "weight 1.0", "weight 0.1")
    ]


def test_a_long_name_leaves_room_for_its_figure_in_the_drawing():
    cells = [cell("", seed, 0.5, row="erm") for seed in (0, 1)]
    comparison = chosen_comparison(cells, "erm", (), "", rule="validation")
    told = "erm, chosen by leaving one training domain out"
    drawing = str(interval_plot("probe", comparison.lines(PROBE), replace(comparison, labels={"erm": told})))
    assert ">erm, chosen by leaving one traini…<" in drawing
    # Who cannot see it hears all of it.
    assert f"probe: {told} 50.0" in drawing
