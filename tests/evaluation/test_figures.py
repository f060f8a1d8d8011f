from __future__ import annotations

import json
import math

import pytest

from unconfound.evaluation import Evaluation, Figure, read_evaluation, write_evaluations
from unconfound.evaluation.figures import primary_of, set_title

EVALUATION = Evaluation(
    name="größer",
    tests={"original": {"linear_probe": Figure(0.5, 0.4, 0.6, 100)}},
    groups={"original": {"land birds, water": Figure(0.1, 0.05, 0.2, 40)}},
    background={"background_gap": Figure(-0.01, -0.1, 0.08, 100)},
    cells={"full/full": Figure(0.5, 0.4, 0.6, 100)},
    settings={"neighbours": 5, "seconds": {"embed": 1.5}},
    notes=("a class without test samples",),
    classifier_groups={"original": {"land birds, water": Figure(0.2, 0.05, 0.3, 40)}},
    morph={"mask_foreground": Figure(0.9, 0.8, 1.0, 100)},
)


def test_evaluations_come_back_as_they_were_written(tmp_path) -> None:
    path = tmp_path / "run" / "evaluation.json"
    write_evaluations(path, [EVALUATION, Evaluation("bare", {})], command="unconfound demo", environment={"a": 1})
    assert read_evaluation(path) == [EVALUATION, Evaluation("bare", {})]
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["format"], document["command"], document["environment"]) == (
        1,
        "unconfound demo",
        {"a": 1},
    )
    assert [file.name for file in path.parent.iterdir()] == ["evaluation.json"]


def test_numbers_that_are_not_finite_become_null(tmp_path) -> None:
    odd = Evaluation("odd", {}, settings={"x": math.nan, "deep": [{"y": math.inf}, (1.0,)]})
    write_evaluations(tmp_path / "evaluation.json", [odd], command="", environment={"z": -math.inf})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=refuse)
    assert document["environment"] == {"z": None}
    assert document["evaluations"][0]["settings"] == {"x": None, "deep": [{"y": None}, [1.0]]}


def test_an_undefined_figure_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not finite; leave an undefined figure out"):
        Figure(math.nan, 0, 1, 3)


def test_figures_print_in_percent() -> None:
    assert str(Figure(0.5, 0.412, 1.0, 9)) == "50.0 [41.2, 100.0]"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "evaluations": []}', '{"format": 1, "evaluations": [3]}']
)
def test_other_files_are_refused(tmp_path, text: str) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"evaluation.json (is damaged|has format 2)"):
        read_evaluation(path)
    with pytest.raises(FileNotFoundError):
        read_evaluation(tmp_path / "absent.json")


def test_files_of_versions_without_classifiers_and_masks_are_read(tmp_path) -> None:
    path = tmp_path / "evaluation.json"
    write_evaluations(path, [EVALUATION], command="", environment={})
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["checksum"]
    for name in ("classifier_groups", "morph"):
        del document["evaluations"][0][name]
    path.write_text(json.dumps(document), encoding="utf-8")
    (read,) = read_evaluation(path)
    assert read.classifier_groups == read.morph == {}
    assert read.tests == EVALUATION.tests


def test_what_is_for_choosing_is_called_so() -> None:
    assert set_title("validation") == "validation (not a test)"
    assert set_title("original") == "original"
    assert primary_of(["mixed-same", "original"]) == "original"
    assert primary_of(["b", "a"]) == "b"
