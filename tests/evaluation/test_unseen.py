from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rich.progress import Progress
from torch import nn

from evaluation.toy import confounded, read_background, read_foreground, source
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.evaluation import Embeddings, evaluate, read_evaluation, write_evaluations
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.retrieval_figures import retrieval_figures
from unconfound.evaluation.unseen import evaluate_unseen, retrieval_on_backgrounds, unseen
from unconfound.functional.retrieval_metrics import retrieval_per_query

OTHERS = ("cyan", "magenta", "yellow")
RETRIEVAL = ["precision_at_1", "r_precision", "map_at_r"]


def other_classes(given: MemorySource) -> MemorySource:
    """The same pictures, under the names of classes that were not trained on."""
    return replace(given, schema=replace(given.schema, classes=OTHERS))


def unseen_tests(dataset: Dataset) -> Dataset:
    return replace(dataset, tests={name: other_classes(each) for name, each in dataset.tests.items()})


def confounded_unseen() -> Dataset:
    """Test classes stand on scenes of their own in mixed-same, and on random ones in mixed-rand."""
    dataset, labels = confounded(), torch.arange(90) % 3
    scenes = torch.randint(0, 3, (90,), generator=torch.Generator().manual_seed(1))
    dataset.tests["mixed-rand"] = source("mixed-rand", labels, labels, scenes)
    return unseen_tests(dataset)


class Counting(nn.Module):
    """Counts the samples that it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.samples += len(inputs)
        return read_foreground(inputs)


def test_unseen_classes_are_judged_by_retrieval_alone_and_training_samples_are_not_embedded() -> None:
    encoder, dataset = Counting(), confounded_unseen()
    with Progress(disable=True) as progress:
        judged = evaluate(encoder, dataset, name="a", classifier=nn.Linear(3, 3), progress=progress)
        assert progress.finished
    assert encoder.samples == 5 * 90
    assert list(judged.embeddings) == list(dataset.tests)
    assert judged.predictions == {}
    evaluation = judged.evaluation
    for name, figures in evaluation.tests.items():
        assert list(figures) == RETRIEVAL
        assert figures == retrieval_figures(judged.embeddings[name])
    assert evaluation.groups == evaluation.classifier_groups == evaluation.cells == {}
    assert [note for note in evaluation.notes if "classes that were not trained on" in note] == [*evaluation.notes]
    assert set(evaluation.settings) == {"seed", "features", "test_samples", "seconds"}
    assert set(evaluation.settings["seconds"]) == {"embed", "retrieval"}


def test_gaps_of_retrieval_tell_who_reads_the_background() -> None:
    names = ["background_gap_precision_at_1", "background_gap_map_at_r", "precision_at_1_crossed", "map_at_r_crossed"]
    honest, *_ = evaluate(read_foreground, confounded_unseen(), name="foreground")
    assert list(honest.background) == names
    assert [figure.value for figure in honest.background.values()] == [0, 0, 1, 1]
    misled, embeddings, _ = evaluate(read_background, confounded_unseen(), name="background")
    tests = misled.tests
    for metric in ("precision_at_1", "map_at_r"):
        gap = misled.background[f"background_gap_{metric}"]
        assert gap.value == pytest.approx(tests["mixed-same"][metric].value - tests["mixed-rand"][metric].value)
        assert 0 < gap.low < gap.value < gap.high <= 1
        assert misled.background[f"{metric}_crossed"].value < 0.7
    crossed = retrieval_per_query(
        embeddings["original"].features, torch.arange(90) % 3, gallery=embeddings["mixed-rand"].features
    )
    assert misled.background["map_at_r_crossed"].value == pytest.approx(float(crossed.map_at_r.mean()))


def test_an_unseen_validation_part_goes_with_a_seen_test_set_and_the_other_way_round() -> None:
    dataset = confounded()
    dataset = replace(dataset, validation=other_classes(dataset.tests["original"]))
    judged = evaluate(read_foreground, dataset, name="a")
    assert list(judged.evaluation.tests["validation"]) == RETRIEVAL
    assert judged.evaluation.tests["original"]["linear_probe"].value == 1
    assert set(judged.evaluation.background) == {"background_gap", "background_gap_knn"}
    assert judged.evaluation.cells
    assert "validation" not in judged.predictions["linear_probe"]
    turned = replace(unseen_tests(confounded()), validation=confounded().tests["original"])
    evaluation, embeddings, _ = evaluate(read_foreground, turned, name="a")
    assert "linear_probe" in evaluation.tests["validation"]
    assert list(evaluation.tests["original"]) == RETRIEVAL
    assert evaluation.cells == {}
    assert "background_gap" not in evaluation.background
    assert "background_gap_map_at_r" in evaluation.background
    assert "train" in embeddings
    assert "train-foreground" not in embeddings


def test_without_test_sets_an_unseen_validation_part_stands_beside_the_cross_validation() -> None:
    dataset = replace(confounded(train=60), tests={})
    dataset = replace(dataset, validation=other_classes(confounded().tests["original"]))
    evaluation, *_ = evaluate(read_foreground, dataset, name="a", judging=Judging(repeats=1, folds=3))
    assert list(evaluation.tests["validation"]) == RETRIEVAL
    assert "linear_probe" in evaluation.tests["cross-validation"]


def test_adversarial_backgrounds_are_not_asked_about_unseen_classes() -> None:
    dataset = confounded_unseen()
    dataset = replace(dataset, adversarial={"red": dataset.tests["original"]})
    evaluation, *_ = evaluate(read_foreground, dataset, name="a")
    assert "adversarial_share" not in evaluation.background


def test_a_set_without_pairs_is_said_and_left_out() -> None:
    features = torch.eye(4)
    alone = Embeddings(features, torch.arange(4), torch.arange(4))
    pairs = Embeddings(features, torch.arange(4), torch.tensor([0, 0, 1, 1]))
    judged = evaluate_unseen({"alone": alone, "pairs": pairs}, clock=Clock("a", None, stages=1))
    assert judged.tests["alone"] == {}
    assert list(judged.tests["pairs"]) == RETRIEVAL
    assert judged.notes[1] == "alone: no two samples share a class, so that there is nothing to retrieve"


def test_swaps_of_other_samples_are_refused() -> None:
    one = Embeddings(torch.randn(4, 2), torch.arange(4), torch.tensor([0, 0, 1, 1]))
    other = Embeddings(torch.randn(4, 2), torch.arange(4), torch.tensor([1, 1, 0, 0]))
    for names in (("mixed-same", "mixed-rand"), ("original", "mixed-rand")):
        sets = dict(zip(names, (one, other), strict=True))
        scores = {name: retrieval_per_query(each.features, each.labels) for name, each in sets.items()}
        with pytest.raises(ValueError, match=f"4 samples of {names[0]} and the 4 of {names[1]} must be the same"):
            retrieval_on_backgrounds(sets, scores)


def test_classes_are_unseen_where_the_names_differ() -> None:
    given = confounded().tests["original"]
    assert not unseen(given, given.schema)
    assert unseen(other_classes(given), given.schema)
    assert unseen(given, Schema("images", (3, 8, 8)))


def test_figures_of_unseen_classes_survive_their_file(tmp_path) -> None:
    evaluation, *_ = evaluate(read_background, confounded_unseen(), name="a")
    write_evaluations(tmp_path / "evaluation.json", [evaluation], command="evaluate", environment={})
    assert read_evaluation(tmp_path / "evaluation.json") == [evaluation]
