import pytest

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report import Entry, tables
from unconfound.report.group_plots import group_columns


def figure(value):
    return Figure(value, value - 0.01, value + 0.01, 100)


def encoder(name, probes, groups=None, **fields):
    tests = {test: {"linear_probe": figure(value)} for test, value in probes.items()}
    return Entry(Evaluation(name, tests, {"original": groups or {}}, **fields), {})


def headers(table):
    return tuple(column.header for column in table.columns)


def marks(row):
    return [cell.mark for cell in row.cells]


def test_the_best_of_a_column_is_marked_where_high_is_good():
    probes = [{"original": 0.9, "only-background": 0.8}, {"original": 0.7, "only-background": 0.9}]
    entries = [encoder(name, probe) for name, probe in zip("ab", probes, strict=True)]
    (table,) = tables.results(entries, tests=["original", "only-background"])
    assert [marks(row) for row in table.rows] == [["best", ""], ["", ""]]
    assert table.rows[0].cells[0].text == "90.0"
    assert table.rows[0].cells[0].interval == "[89.0, 91.0]"
    assert marks(tables.results(entries[:1], tests=["original"])[0].rows[0]) == [""]


def test_a_support_vector_machine_is_a_second_column():
    metrics = [{"linear_probe": figure(0.9), "svm": figure(0.8)}, {"linear_probe": figure(0.7), "svm": figure(0.85)}]
    entries = [
        Entry(Evaluation(name, {"cross-validation": each}), {}) for name, each in zip("ab", metrics, strict=True)
    ]
    (table,) = tables.results(entries, tests=["cross-validation"])
    assert headers(table) == ("linear probe", "SVM")
    assert [marks(row) for row in table.rows] == [["best", ""], ["", "best"]]
    assert "of an SVM" in table.title
    assert headers(tables.measures(entries, test="cross-validation")) == ("linear probe", "SVM")
    assert "in cross-validation" in tables.measures(entries, test="cross-validation").title
    entries = [Entry(Evaluation("a", {"test": metrics[0], "other": {"svm": figure(0.5)}}), {})]
    (table,) = tables.results(entries, tests=["test", "other"])
    assert headers(table) == ("test", "test, SVM", "other, SVM")
    assert [cell.text for cell in table.rows[0].cells] == ["90.0", "80.0", "50.0"]


def test_what_was_not_measured_is_a_dash():
    entries = [encoder("a", {"original": 0.9}, background={"background_gap": figure(0.2)}), encoder("b", {})]
    (table,) = tables.results(entries, tests=["original"])
    assert headers(table) == ("original", "gap (points)")
    assert [cell.text for cell in table.rows[1].cells] == ["-", "-"]


def test_groups_are_listed_lowest_first_with_each_encoders_worst():
    entries = [
        encoder("a", {}, {"x": figure(0.9), "y": figure(0.3)}),
        encoder("b", {}, {"x": figure(0.5), "z": figure(0.6)}),
    ]
    table = tables.groups(group_columns(entries, test="original"), test="original")
    assert [row.name for row in table.rows] == ["y", "x", "z"]
    assert [marks(row) for row in table.rows] == [["worst", ""], ["", "worst"], ["", ""]]
    assert "of the linear probe" in table.title
    assert group_columns(entries, test="other") == []


def test_the_worst_group_is_among_the_shown_of_many():
    entries = [encoder("a", {}, {f"g{i}": figure(0.9 - i / 1000) for i in range(100)})]
    table = tables.groups(group_columns(entries, test="original"), test="original")
    assert len(table.rows) == 24
    assert "24 of 100 groups" in table.title
    assert table.rows[0].name == "g99"


def test_facts_and_settings_are_gathered_over_encoders():
    entries = [
        Entry(
            Evaluation("a", {}, settings={"seconds": {"probe": 1.23456}, "neighbours": 5}),
            {},
            facts={"epochs": "3"},
        )
    ]
    entries.append(Entry(Evaluation("b", {}), {}))
    table = tables.facts(entries)
    assert [cell.text for cell in table.rows[0].cells] == ["3", "-"]
    table = tables.settings([entry.evaluation for entry in entries])
    assert [cell.text for cell in table.rows[0].cells] == ["probe 1.235", "-"]
    assert tables.facts(entries[1:]) is tables.settings([entries[1].evaluation]) is None


@pytest.mark.parametrize("missing", [True, False])
def test_four_cells_are_there_where_measured(missing):
    entries = [encoder("a", {}, cells={} if missing else {"full/foreground": figure(0.5)})]
    table = tables.four_cells(entries)
    assert (table is None) == missing
    if table is not None:
        assert [cell.text for cell in table.rows[0].cells] == ["-", "50.0", "-", "-"]


def test_a_trained_classifier_has_the_first_table():
    own = {"classifier": figure(0.95), "linear_probe": figure(0.9), "worst_group_classifier": figure(0.4)}
    gaps = {"background_gap": figure(0.2), "background_gap_classifier": figure(0.1), "adversarial_share": figure(0.3)}
    tests = {"original": own, "validation": own}
    cim, probed = Entry(Evaluation("cim", tests, background=gaps), {}), encoder("simclr", {"original": 0.8})
    first, second = tables.results([probed, cim], tests=["original", "validation"])
    assert headers(first) == ("original", "validation (not a test)", "gap (points)")
    assert [row.name for row in first.rows] == ["cim"]
    assert [cell.text for cell in first.rows[0].cells] == ["95.0", "95.0", "10.0"]
    assert "classifier that was trained with the encoder" in first.title
    assert [row.name for row in second.rows] == ["simclr", "cim"]
    assert headers(second)[2:] == ("gap (points)", "not fooled")
    assert [cell.text for cell in second.rows[1].cells] == ["90.0", "90.0", "20.0", "30.0"]
    shown = tables.measures([cim], test="validation")
    assert headers(shown) == ("trained classifier", "linear probe", "worst group of the classifier")
    assert "no test" in shown.title


def test_the_probe_of_exchanged_backgrounds_has_the_last_table():
    known = {"linear_probe": figure(0.4), "exchanged_probe": figure(0.6)}
    gaps = {"background_gap": figure(0.5), "background_gap_exchanged_probe": figure(0.1)}
    entry = Entry(Evaluation("a", {"mixed-rand": known}, background=gaps), {})
    _, last = tables.results([entry, encoder("b", {"mixed-rand": 0.8})], tests=["mixed-rand"])
    assert "what the encoder knows apart from these" in last.title
    assert [row.name for row in last.rows] == ["a"]
    assert headers(last) == ("mixed-rand", "gap, exchanged probe (points)")
    assert [cell.text for cell in last.rows[0].cells] == ["60.0", "10.0"]


def test_groups_of_classifier_and_probe_stand_side_by_side():
    by_probe, own = {"x": figure(0.9), "y": figure(0.3)}, {"x": figure(0.2), "y": figure(0.6)}
    entry = Entry(Evaluation("cim", {}, {"test": by_probe}, classifier_groups={"test": own}), {})
    table = tables.groups(group_columns([entry], test="test"), test="test")
    assert headers(table) == ("cim, trained classifier", "cim, linear probe")
    assert [row.name for row in table.rows] == ["x", "y"]
    assert [marks(row) for row in table.rows] == [["worst", ""], ["", "worst"]]
    assert "linear probe" not in table.title


def test_masks_are_a_table_of_their_own():
    morph = {"mask_foreground": figure(0.9), "mask_background": figure(0.2), "mask_difference": figure(0.7)}
    table = tables.morphs([encoder("plain", {}), Entry(Evaluation("cim", {}, morph=morph), {})])
    assert [row.name for row in table.rows] == ["cim"]
    assert [cell.text for cell in table.rows[0].cells] == ["90.0", "20.0", "70.0"]
    assert "mean over 100 images" in table.title
    assert tables.morphs([encoder("plain", {})]) is None


def test_unseen_classes_have_a_table_of_retrieval():
    found = {"precision_at_1": figure(0.5), "r_precision": figure(0.4), "map_at_r": figure(0.3)}
    gaps = {"background_gap_map_at_r": figure(0.1), "map_at_r_crossed": figure(0.2)}
    dcml = Entry(Evaluation("dcml", {"test": found}, background=gaps), {})
    (table,) = tables.results([dcml], tests=["test"])
    columns = ("test, precision at 1", "test, R-precision", "test, MAP@R", "gap, MAP@R (points)", "crossed, MAP@R")
    assert headers(table) == columns
    assert [cell.text for cell in table.rows[0].cells] == ["50.0", "40.0", "30.0", "10.0", "20.0"]
    assert "not trained on" in table.title
    assert "queries from original" in table.title
    mixed = Entry(Evaluation("b", {"test": found, "validation": {"linear_probe": figure(0.9)}}), {})
    first, second = tables.results([mixed], tests=["test", "validation"])
    assert headers(first) == columns[:3]
    assert headers(second) == ("validation (not a test)",)
