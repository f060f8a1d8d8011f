from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rich.progress import Progress
from torch import nn

from evaluation.toy import CLASSES, confounded, masked_data, read_background, read_foreground, source
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.composer import Composition
from unconfound.data.compose.digits_on_scenes import digits_on_scenes
from unconfound.evaluation import evaluate, read_evaluation, write_evaluations
from unconfound.evaluation.judging import Judging


def test_an_encoder_that_reads_the_foreground_has_no_gap() -> None:
    evaluation, *_ = evaluate(read_foreground, confounded(), name="foreground")
    for test in ("original", "mixed-same", "mixed-rand", "only-foreground"):
        assert evaluation.tests[test]["linear_probe"].value == 1
        assert evaluation.tests[test]["knn"].value == 1
        assert evaluation.tests[test]["precision_at_1"].value == 1
    for gap in evaluation.background.values():
        assert gap.value == 0
        assert -0.1 < gap.low < 0 < gap.high < 0.1
    assert {cell.value for cell in evaluation.cells.values()} == {1}


def test_an_encoder_that_reads_the_background_has_a_gap_of_one() -> None:
    dataset = confounded()
    evaluation, *_ = evaluate(read_background, dataset, name="background")
    linear = {test: figures["linear_probe"].value for test, figures in evaluation.tests.items()}
    assert linear["mixed-same"] == 1
    assert linear["mixed-rand"] == 0
    matches = float((dataset.tests["original"].groups % 2 == 0).double().mean())
    assert linear["original"] == linear["only-background"] == pytest.approx(matches)
    assert set(evaluation.background) == {"background_gap", "background_gap_knn"}
    for gap in evaluation.background.values():
        assert gap.value == 1
        assert 0.9 < gap.low < 1
        assert gap.high == 1
    assert evaluation.cells["full/full"].value == pytest.approx(matches)
    # Without a background this encoder gives every picture the same embedding.
    assert evaluation.cells["foreground/foreground"].value == pytest.approx(1 / 3)


def test_groups_show_which_pictures_fail() -> None:
    evaluation, *_ = evaluate(read_background, confounded(), name="background")
    groups = evaluation.groups["original"]
    assert {name: figure.value for name, figure in groups.items()} == {
        f"{name}, {where} scene": float(where == "own") for name in CLASSES for where in ("own", "other")
    }
    assert evaluation.tests["original"]["worst_group"].value == 0
    # mixed-same holds no picture on another scene: those groups are left out, not 0.
    assert set(evaluation.groups["mixed-same"]) == {f"{name}, own scene" for name in CLASSES}
    assert evaluation.tests["mixed-same"]["worst_group"].value == 1


def test_everything_is_returned_that_a_report_needs() -> None:
    dataset = confounded()
    with Progress(disable=True) as progress:
        evaluation, embeddings, _ = evaluate(
            read_foreground, dataset, name="mine", progress=progress, judging=Judging(neighbours=3, seed=4)
        )
        assert progress.finished
    assert list(embeddings) == ["train", "train-foreground", *dataset.tests]
    assert len(embeddings["train"]) == 300
    assert evaluation.name == "mine"
    assert evaluation.settings["neighbours"] == 3
    assert evaluation.settings["seed"] == 4
    assert evaluation.settings["features"] == 3
    assert evaluation.settings["train_samples"] == 300
    assert set(evaluation.settings["test_samples"].values()) == {90}
    assert set(evaluation.settings["probe_strength"]) == {"full", "foreground"}
    assert set(evaluation.settings["seconds"]) == {"embed", "probe", "knn", "retrieval"}


def test_evaluation_survives_its_file(tmp_path) -> None:
    evaluation, *_ = evaluate(read_background, confounded(), name="background")
    write_evaluations(tmp_path / "evaluation.json", [evaluation], command="evaluate", environment={})
    assert read_evaluation(tmp_path / "evaluation.json") == [evaluation]


def test_module_is_left_as_it_was() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16)).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    dataset = confounded()
    for each in (dataset.labelled, dataset.train_foreground, *dataset.tests.values()):
        each.inputs = each.inputs.float() / 255
    evaluate(encoder, dataset, name="module")
    assert encoder.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])


def rows(samples: int = 60, **given) -> MemorySource:
    labels = torch.arange(samples) % 2
    inputs = torch.randn(samples, 4, generator=torch.Generator().manual_seed(samples)) + 9 * labels[:, None]
    return MemorySource(
        **{
            "name": "rows",
            "schema": Schema("tables", (4,), ("no", "yes")),
            "inputs": inputs,
            "labels": labels,
        }
        | given
    )


def test_rows_without_groups_or_backgrounds_are_judged_by_the_rest() -> None:
    train = rows()
    evaluation, embeddings, _ = evaluate(
        lambda inputs: inputs, Dataset(train, {"test": rows(40)}, labelled=train), name="rows"
    )
    assert set(embeddings) == {"train", "test"}
    assert set(evaluation.tests["test"]) == {
        "linear_probe",
        "knn",
        "precision_at_1",
        "r_precision",
        "map_at_r",
    }
    assert evaluation.tests["test"]["linear_probe"].value == 1
    assert evaluation.groups == evaluation.background == evaluation.cells == {}
    assert evaluation.notes == ()


def test_unlabelled_samples_count_nowhere() -> None:
    train, test = rows(), rows(40)
    train.labels[::3] = -1
    test.labels[:10] = -1
    evaluation, embeddings, _ = evaluate(
        lambda inputs: inputs, Dataset(train, {"test": test}, labelled=train), name="a"
    )
    assert evaluation.settings["train_samples"] == 40
    assert evaluation.tests["test"]["linear_probe"].samples == 30
    assert len(embeddings["test"]) == 40


def test_classes_that_one_side_lacks_are_said() -> None:
    schema = Schema("tables", (4,), ("no", "yes", "perhaps"))
    train, test = rows(schema=schema), rows(40, schema=schema)
    test.labels[:5] = 2
    test.labels[test.labels == 1] = 0
    evaluation, *_ = evaluate(lambda inputs: inputs, Dataset(train, {"test": test}, labelled=train), name="a")
    assert evaluation.notes == (
        "test: 5 samples count as wrong, for no training sample is of their class (perhaps)",
        "test: no samples of class yes",
    )


def test_retrieval_is_left_out_where_there_is_nothing_to_retrieve() -> None:
    train = rows()
    evaluation, *_ = evaluate(lambda inputs: inputs, Dataset(train, {"test": rows(2)}, labelled=train), name="a")
    assert set(evaluation.tests["test"]) == {"linear_probe", "knn"}
    assert "no two samples share a class" in evaluation.notes[0]


def test_data_without_a_test_set_are_judged_by_cross_validation(tmp_path) -> None:
    train = rows(66)
    train.labels[:6] = -1
    dataset = Dataset(train, {}, labelled=train)
    with Progress(disable=True) as progress:
        evaluation, embeddings, _ = evaluate(
            lambda inputs: inputs, dataset, name="rows", progress=progress, judging=Judging(folds=4, repeats=3, seed=2)
        )
        assert progress.finished
    assert set(embeddings) == {"train"}
    assert len(embeddings["train"]) == 66
    figures = evaluation.tests["cross-validation"]
    crossed = ["linear_probe", "adam_probe", "svm", "knn"]
    assert list(figures) == [*crossed, "precision_at_1", "r_precision", "map_at_r"]
    assert figures["linear_probe"].value == figures["svm"].value == figures["knn"].value == 1
    assert figures["linear_probe"].samples == 60
    assert evaluation.groups == evaluation.background == evaluation.cells == {}
    assert (evaluation.settings["folds"], evaluation.settings["repeats"], evaluation.settings["seed"]) == (4, 3, 2)
    assert evaluation.settings["accuracy_of_each_repeat"]["linear_probe"] == [1, 1, 1]
    assert list(evaluation.settings["deviation_over_repeats"]) == crossed
    assert evaluation.settings["deviation_over_repeats"]["svm"] == 0
    assert sum(evaluation.settings["chosen"]["linear_probe"].values()) == 12
    assert set(evaluation.settings["seconds"]) == {"embed", "probe", "svm", "knn", "retrieval"}
    write_evaluations(tmp_path / "evaluation.json", [evaluation], command="evaluate", environment={})
    assert read_evaluation(tmp_path / "evaluation.json") == [evaluation]


def test_groups_are_judged_on_folds_that_the_probe_has_not_seen() -> None:
    dataset = replace(confounded(train=150), tests={})
    evaluation, *_ = evaluate(read_background, dataset, name="background", judging=Judging(folds=5, repeats=2))
    groups = evaluation.groups["cross-validation"]
    assert {name: figure.value for name, figure in groups.items()} == {
        f"{name}, {where} scene": float(where == "own") for name in CLASSES for where in ("own", "other")
    }
    assert evaluation.tests["cross-validation"]["worst_group"].value == 0


def test_many_samples_are_assigned_once_and_get_no_svm(monkeypatch) -> None:
    monkeypatch.setattr("unconfound.evaluation.crossed.MANY", 50)
    train = rows()
    evaluation, *_ = evaluate(
        lambda inputs: inputs, Dataset(train, {}, labelled=train), name="rows", judging=Judging(folds=4)
    )
    assert "svm" not in evaluation.tests["cross-validation"]
    assert evaluation.settings["repeats"] == 1
    assert evaluation.settings["deviation_over_repeats"] == {}
    assert evaluation.notes == ("no SVM is fitted, and folds are assigned once: 60 samples are more than 50",)


def test_bad_input_is_refused() -> None:
    train = rows()
    good = Dataset(train, {"test": rows(40)}, labelled=train)
    with pytest.raises(ValueError, match=r"rows has no labels.*`embed` works without"):
        evaluate(lambda inputs: inputs, replace(good, labelled=None), name="a")
    with pytest.raises(ValueError, match="the test set test has no labels"):
        evaluate(lambda inputs: inputs, replace(good, tests={"test": rows(labels=None)}), name="a")
    one = rows(labels=torch.zeros(60, dtype=torch.int64))
    with pytest.raises(ValueError, match="all 60 labelled samples are of class 0"):
        evaluate(lambda inputs: inputs, replace(good, labelled=one), name="a")
    with pytest.raises(ValueError, match="61 neighbours cannot be found among 60"):
        evaluate(lambda inputs: inputs, good, name="a", judging=Judging(neighbours=61))
    with pytest.raises(ValueError, match="61 folds of 60 labelled samples"):
        evaluate(lambda inputs: inputs, replace(good, tests={}), name="a", judging=Judging(folds=61))
    with pytest.raises(ValueError, match="not finite"):
        evaluate(lambda inputs: inputs / 0, good, name="a")


def test_groups_of_one_picture_each_have_wide_intervals() -> None:
    labels = torch.arange(6) % 3
    few = {"original": source("few", labels, labels, (labels + torch.arange(6) // 3) % 3)}
    evaluation, *_ = evaluate(read_background, replace(confounded(), tests=few), name="few")
    for figure in evaluation.groups["original"].values():
        assert figure.samples == 1
        assert figure.high - figure.low > 0.7
    (note,) = [note for note in evaluation.notes if "too few" in note]
    assert note.startswith("original: too few samples to tell how well these groups are recognised")
    assert "red, own scene (1)" in note
    assert "and 1 more" in note
    assert not any("too few" in note for note in evaluate(read_background, confounded(test=900), name="many")[0].notes)


def test_pixels_of_real_digits_lean_on_background_where_it_tells_the_class() -> None:
    def encoder(inputs):
        return nn.functional.avg_pool2d(inputs.float() / 255, 4).flatten(1)

    gaps = {
        correlation: evaluate(
            encoder, digits_on_scenes(Composition(correlation=correlation, share=0.75), repeats=3), name="pixels"
        )[0].background["background_gap"]
        for correlation in (0.9, 0.1)
    }
    assert gaps[0.9].low > 0.2
    assert gaps[0.1].low < 0.03
    assert gaps[0.1].value < 0.06


def identity(outputs: int = 3) -> nn.Linear:
    """Answer with the largest feature."""
    classifier = nn.Linear(3, outputs)
    nn.init.eye_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier


@pytest.mark.parametrize("encoder", [read_foreground, read_background])
def test_the_trained_classifier_is_judged_like_the_probe(encoder, tmp_path) -> None:
    evaluation, *_ = evaluate(encoder, confounded(), name="own", classifier=identity())
    foreground = encoder is read_foreground
    for test, figures in evaluation.tests.items():
        assert next(iter(figures)) == "classifier"
        shown_by = {"mixed-same": 1.0, "mixed-rand": float(foreground)}
        if test in shown_by:
            assert figures["classifier"].value == shown_by[test]
        assert figures["worst_group_classifier"].value == min(
            figure.value for figure in evaluation.classifier_groups[test].values()
        )
        assert {"average_group_classifier", "worst_group"} <= figures.keys()
    assert "reweighted_average_classifier" in evaluation.tests["original"]
    assert evaluation.background["background_gap_classifier"].value == 1 - foreground
    own = evaluation.classifier_groups["original"]
    assert {name: figure.value for name, figure in own.items() if "other" in name} == {
        f"{name}, other scene": float(foreground) for name in CLASSES
    }
    assert evaluation.notes == evaluate(encoder, confounded(), name="own")[0].notes
    write_evaluations(tmp_path / "evaluation.json", [evaluation], command="evaluate", environment={})
    assert read_evaluation(tmp_path / "evaluation.json") == [evaluation]


def test_a_classifier_of_other_classes_is_left_out_with_a_note() -> None:
    evaluation, *_ = evaluate(read_foreground, confounded(), name="own", classifier=identity(4))
    assert evaluation.classifier_groups == {}
    assert not any("classifier" in metric for figures in evaluation.tests.values() for metric in figures)
    assert "background_gap_classifier" not in evaluation.background
    (note,) = [note for note in evaluation.notes if "classifier" in note]
    assert note == "the trained classifier is not evaluated: it tells 4 classes apart, these are 3"
    with pytest.raises(ValueError, match="takes 2 features, the embeddings have 3"):
        evaluate(read_foreground, confounded(), name="own", classifier=nn.Linear(2, 3))


def test_a_cross_validation_does_not_judge_the_classifier_but_its_validation_part_does() -> None:
    dataset = replace(confounded(train=150), tests={}, validation=confounded().tests["mixed-rand"])
    evaluation, embeddings, _ = evaluate(
        read_background, dataset, name="own", classifier=identity(), judging=Judging(folds=5, repeats=1)
    )
    assert list(evaluation.tests) == ["cross-validation", "validation"]
    assert "classifier" not in evaluation.tests["cross-validation"]
    assert any("has seen the labels of all samples" in note for note in evaluation.notes)
    assert evaluation.tests["validation"]["classifier"].value == 0
    assert list(embeddings) == ["train", "validation"]


def test_the_validation_part_is_judged_last_and_is_no_test_set() -> None:
    dataset = replace(confounded(), validation=confounded(seed=1).tests["original"])
    evaluation, embeddings, _ = evaluate(read_foreground, dataset, name="a", classifier=identity())
    assert list(evaluation.tests) == [*dataset.tests, "validation"]
    figures = evaluation.tests["validation"]
    assert figures["classifier"].value == figures["linear_probe"].value == figures["worst_group"].value == 1
    assert "validation" in evaluation.groups
    assert list(evaluation.settings["test_samples"]) == list(dataset.tests)
    assert evaluation.settings["validation_samples"] == 90
    assert len(embeddings["validation"]) == 90
    without = evaluate(read_foreground, replace(dataset, validation=None), name="a", classifier=identity())[0]
    assert {test: evaluation.tests[test] for test in dataset.tests} == without.tests
    with pytest.raises(ValueError, match="the validation part has no labels"):
        evaluate(read_foreground, replace(dataset, validation=rows(labels=None)), name="a")
    with pytest.raises(ValueError, match="a test set is called 'validation'"):
        evaluate(read_foreground, replace(dataset, tests={"validation": dataset.tests["original"]}), name="a")


@pytest.mark.parametrize("unknown", [None, -1])
def test_a_domain_that_was_left_out_may_have_no_groups(unknown) -> None:
    dataset = confounded()
    test = dataset.tests["original"]
    test.groups = None if unknown is None else torch.full_like(test.labels, unknown)
    dataset = replace(dataset, tests={"test": test}, validation=confounded().tests["mixed-same"])
    evaluation, *_ = evaluate(read_foreground, dataset, name="a", classifier=identity())
    assert not any("group" in metric for metric in evaluation.tests["test"])
    assert list(evaluation.groups) == list(evaluation.classifier_groups) == ["validation"]


def test_adversarial_backgrounds_are_judged_where_the_data_offer_them() -> None:
    labels = torch.arange(30) % 3
    sources = {}
    for scene in range(3):
        standing = torch.full((30,), scene)
        sources[f"scene {scene}"] = source(f"scene {scene}", labels, labels, standing)
        sources[f"scene {scene}"].scenes = standing
    for encoder, robust in ((read_foreground, 1), (read_background, 0)):
        dataset = replace(confounded(), adversarial=sources)
        evaluation, embeddings, _ = evaluate(encoder, dataset, name="a", classifier=identity())
        assert evaluation.background["adversarial_share"].value == robust
        assert evaluation.background["adversarial_share_classifier"].value == robust
        assert "scene 0" not in embeddings
        assert "adversarial" in evaluation.settings["seconds"]


def read_both(inputs: torch.Tensor) -> torch.Tensor:
    """The foreground's colour, and the background's ten times as loud."""
    return torch.cat([read_foreground(inputs), 10 * read_background(inputs)], 1)


def test_a_probe_of_exchanged_backgrounds_tells_what_an_encoder_knows_of_the_foreground() -> None:
    evaluation, embeddings, predictions = evaluate(read_both, masked_data(), name="both")
    figures = evaluation.tests["mixed-rand"]
    assert figures["exchanged_probe"].value == 1
    assert evaluation.background["background_gap_exchanged_probe"].value == 0
    assert "exchanged_probe" in predictions
    train, exchanged = embeddings["train"], embeddings["train-exchanged"]
    assert torch.equal(train.labels, exchanged.labels)
    assert torch.equal(train.features[:, :3], exchanged.features[:, :3])
    matches = (train.features[:, 3:].argmax(1) == train.labels, exchanged.features[:, 3:].argmax(1) == train.labels)
    assert matches[0].float().mean() > 0.8
    assert matches[1].float().mean() < 0.5
    blind, *_ = evaluate(read_background, masked_data(), name="blind")
    # By the background alone nothing is to be told, whatever the probe is fitted on.
    assert blind.tests["mixed-rand"]["linear_probe"].value == 0
    assert blind.tests["mixed-same"]["exchanged_probe"].value < 0.7
    without, embeddings, _ = evaluate(read_both, confounded(), name="both")
    assert "train-exchanged" not in embeddings
    assert "exchanged_probe" not in without.tests["mixed-rand"]
