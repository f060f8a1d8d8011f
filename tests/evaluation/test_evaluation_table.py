from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from unconfound.evaluation import Evaluation, Figure, evaluation_table, markdown_table, terminal_table

FULL = Figure(1.0, 0.9871, 1.0, 1200)
TESTS = ("original", "mixed-same", "mixed-rand", "only-foreground", "only-background")


def entry(name: str, tests: tuple[str, ...] = TESTS) -> Evaluation:
    metrics = {"linear_probe": FULL, "knn": FULL, "precision_at_1": FULL, "worst_group": FULL}
    gap = {"background_gap": Figure(0.312, 0.28, 0.35, 1200)} if "mixed-same" in tests else {}
    return Evaluation(name, dict.fromkeys(tests, metrics), background=gap)


def printed(evaluations: list[Evaluation], width: int = 100) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(terminal_table(evaluation_table(evaluations), name_width=12))
    return console.file.getvalue()


def test_terminal_table_fits_100_columns_whole() -> None:
    text = printed([entry("supervised"), entry("simclr"), entry("a-very-long-name-of-a-run-folder")])
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text
    row = next(line for line in lines if line.startswith("supervised"))
    assert row.split() == ["supervised", *["100.0"] * 5, "31.2", *["100.0"] * 3]
    assert lines[lines.index(row) + 1].split() == [*["±1.3"] * 5, "±3.8", *["±1.3"] * 3]
    assert "points" in text
    # Every column of numbers has its unit.
    unit_line = next(line for line in lines if "points" in line)
    assert unit_line.split() == ["encoder", *["%"] * 5, "points", *["%"] * 3]


def test_cross_validation_shows_the_svm_beside_the_probe() -> None:
    crossed = Evaluation("gin", {"cross-validation": {"linear_probe": FULL, "svm": Figure(0.5, 0.45, 0.55, 300)}})
    text = printed([crossed])
    assert "Cross-validation: linear probe." in " ".join(text.split())
    assert next(line for line in text.splitlines() if line.startswith("gin")).split() == ["gin", "100.0", "50.0"]
    assert markdown_table(evaluation_table([crossed])).startswith("| encoder | cross-validation (%) | SVM (%) |")


def test_columns_without_figures_are_left_out_and_missing_figures_are_dashes() -> None:
    plain = Evaluation("table", {"test": {"linear_probe": FULL}})
    text = printed([plain, Evaluation("other", {"test": {"linear_probe": FULL, "knn": FULL}})])
    assert "gap" not in text.lower()
    assert "worst" not in text
    assert next(line for line in text.splitlines() if line.startswith("table")).split() == [
        "table",
        "100.0",
        "-",
    ]


def test_markdown_has_both_limits() -> None:
    lines = markdown_table(evaluation_table([entry("a|b"), entry("tabular", ("test",))])).splitlines()
    assert lines[0] == (
        "| encoder | original (%) | mixed-same (%) | mixed-rand (%) | only-foreground (%) | only-background (%) "
        "| test (%) | gap (points) | kNN (%) | P@1 (%) | worst group (%) |"
    )
    assert lines[2].startswith("| a\\|b | 100.0 [98.7, 100.0] |")
    assert "31.2 [28.0, 35.0]" in lines[2]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "-" in lines[3]


def test_a_trained_classifier_has_the_row_before_its_probe_and_validation_is_no_test() -> None:
    half = Figure(0.5, 0.45, 0.55, 300)
    tests = (*TESTS, "validation")
    probed = {"linear_probe": FULL, "knn": FULL, "precision_at_1": FULL, "worst_group": FULL}
    own = probed | {"classifier": half, "worst_group_classifier": half}
    gaps = {"background_gap": FULL, "background_gap_classifier": half}
    evaluations = [
        Evaluation("cim", dict.fromkeys(tests, own), background=gaps),
        Evaluation("a-very-long-name-of-a-run-folder", dict.fromkeys(tests, probed), background=gaps),
    ]
    text = printed(evaluations)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text
    first, second = (line.split() for line in lines if line.startswith("cim "))
    assert first == ["cim", *["50.0"] * 7, "-", "-", "50.0"]
    assert second == ["cim", *["100.0"] * 10]
    assert [line.split()[0] for line in lines if line.startswith(("classifier", "linear probe"))] == [
        "classifier",
        "linear",
        "linear",
    ]
    assert "Validation: for model selection, not a test." in " ".join(text.split())
    header, _, row, *_ = markdown_table(evaluation_table(evaluations)).splitlines()
    assert "| validation (not a test) (%) | gap (points) |" in header
    assert row.startswith("| cim, classifier | 50.0 [45.0, 55.0] |")


def test_a_classifier_without_a_probe_has_one_row() -> None:
    alone = Evaluation("refit", {"original": {"classifier": FULL}})
    both = Evaluation("before", {"original": {"classifier": FULL, "linear_probe": FULL}})
    assert [(row.name, row.second) for row in evaluation_table([both, alone]).rows] == [
        ("before", "classifier"),
        ("before", "linear probe"),
        ("refit", "classifier"),
    ]


@pytest.mark.parametrize("evaluations", [[], [Evaluation("bare", {})]])
def test_nothing_to_show_is_an_empty_table(evaluations: list[Evaluation]) -> None:
    assert "encoder" in markdown_table(evaluation_table(evaluations))
    assert "encoder" in printed(evaluations)


def test_unseen_classes_are_shown_by_retrieval() -> None:
    half = Figure(0.5, 0.4, 0.6, 400)
    found = {"precision_at_1": FULL, "r_precision": half, "map_at_r": half}
    evaluation = Evaluation("dcml", {"test": found})
    assert (
        markdown_table(evaluation_table([evaluation])).splitlines()[0] == "| encoder | P@1 (%) | RP (%) | MAP@R (%) |"
    )
    text = printed([evaluation])
    assert "Retrieval in %, ± 95 % interval, of classes that were not trained on." in " ".join(text.split())
    assert "Accuracy" not in text
    swapped = Evaluation(
        "dcml",
        dict.fromkeys((*TESTS, "validation"), found),
        background={"background_gap_map_at_r": half, "map_at_r_crossed": half},
    )
    text = printed([swapped])
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    row = next(line for line in text.splitlines() if line.startswith("dcml"))
    assert row.split() == ["dcml", "100.0", *["50.0"] * 8]
    assert "Gap: mixed-same minus mixed-rand. Crossed: queries from original" in " ".join(text.split())


def test_a_seen_validation_part_stands_beside_an_unseen_test_set() -> None:
    found = {"precision_at_1": FULL, "r_precision": FULL, "map_at_r": FULL}
    evaluation = Evaluation("a", {"test": found, "validation": {"linear_probe": FULL, "knn": FULL}})
    header = markdown_table(evaluation_table([evaluation])).splitlines()[0]
    assert header == "| encoder | validation (not a test) (%) | test P@1 (%) | test RP (%) | test MAP@R (%) |"


def test_a_group_of_a_handful_of_samples_is_said_to_be_too_small() -> None:
    few = Figure(0.0, 0.0, 0.793, 1)
    text = printed([Evaluation("a", {"test": {"linear_probe": FULL, "worst_group": few}})])
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith("a "))
    assert row.split() == ["a", "100.0", "-"]
    assert lines[lines.index(row) + 1].split() == ["±1.3", "n", "=", "1"]
    assert "79" not in text
    markdown = markdown_table(evaluation_table([Evaluation("a", {"test": {"linear_probe": FULL, "worst_group": few}})]))
    assert markdown.splitlines()[-1] == "| a | 100.0 [98.7, 100.0] | - n = 1 |"


def test_what_an_encoder_knows_of_the_foreground_has_a_column() -> None:
    half = Figure(0.5, 0.45, 0.55, 300)
    figures = {"classifier": half, "linear_probe": FULL, "exchanged_probe": half, "knn": FULL, "precision_at_1": FULL}
    both = Evaluation("both", dict.fromkeys((*TESTS, "validation"), figures), background={"adversarial_share": half})
    table = evaluation_table([both, entry("probed")])
    assert [(row.name, row.second) for row in table.rows] == [
        ("both", "classifier"),
        ("both", "linear probe"),
        ("probed", "linear probe"),
    ]
    (place,) = [place for place, each in enumerate(table.columns) if each.title == "exchanged probe"]
    assert [row.cells[place].text for row in table.rows] == ["-", "50.0", "-"]
    text = printed([both, entry("probed")])
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    flat = " ".join(text.split())
    assert (
        "Exchanged probe: on mixed-rand, a linear probe that was fitted on exchanged backgrounds or nuisances." in flat
    )
    assert "Not fooled: right on every background of another class." in flat


def test_the_probe_of_the_graph_papers_is_shown() -> None:
    crossed = Evaluation("gin", {"cross-validation": {"linear_probe": FULL, "adam_probe": FULL, "svm": FULL}})
    header = markdown_table(evaluation_table([crossed])).splitlines()[0]
    assert header == "| encoder | cross-validation (%) | 100 steps of Adam (%) | SVM (%) |"
