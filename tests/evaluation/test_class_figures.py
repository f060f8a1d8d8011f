from __future__ import annotations

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torch import nn

from unconfound.evaluation import Embeddings, fit_probe
from unconfound.evaluation.class_figures import class_figures, top_5
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.crossed import crossed_evaluation
from unconfound.evaluation.figures import Evaluation
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.set_figures import figures_of_sets


def embeddings(seed: int, samples: int = 84, classes: int = 7) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    features = torch.eye(classes)[labels] + 0.6 * torch.randn(samples, classes, generator=generator)
    return Embeddings(features, torch.arange(samples), labels)


def test_top_5_agrees_with_scikit_learn() -> None:
    each = embeddings(0)
    assert each.labels is not None
    logits = torch.randn(84, 7, generator=torch.Generator().manual_seed(3)) + torch.eye(7)[each.labels]
    figure = top_5(logits, torch.arange(7), each.labels)
    assert figure is not None
    assert figure.value == pytest.approx(top_k_accuracy_score(each.labels.numpy(), logits.numpy(), k=5))
    # Classes by other numbers than their columns', and all logits equal: the first five.
    equal = top_5(torch.zeros(84, 7), torch.arange(7) + 1, each.labels)
    assert equal is not None
    assert equal.value == pytest.approx(5 / 7)
    assert top_5(torch.zeros(84, 5), torch.arange(5), each.labels) is None


def test_each_class_alone() -> None:
    predictions, labels = torch.tensor([0, 1, 1, 4, 4]), torch.tensor([0, 0, 1, 4, 1])
    figures = class_figures(predictions, labels, names=["cat", "dog"])
    assert {name: (figure.value, figure.samples) for name, figure in figures.items()} == {
        "cat": (0.5, 2),
        "dog": (0.5, 2),
        "4": (1.0, 1),
    }


def test_evaluations_hold_them_and_come_back_from_files() -> None:
    train, test = embeddings(5), embeddings(6, 42)
    probe, classifier = fit_probe(train), nn.Linear(7, 7)
    judged = figures_of_sets(
        train,
        {"test": test},
        probes={"linear_probe": probe},
        classifier=classifier,
        classes=list("abcdefg"),
        group_names=(),
        neighbours=5,
        clock=Clock("", None, stages=2),
    )
    assert set(judged.further["test"]) == {
        "top_5",
        "top_5_classifier",
        "recall_at_2",
        "recall_at_4",
        "recall_at_8",
        "mean_reciprocal_rank",
    }
    accuracy = judged.tests["test"]["linear_probe"].value
    assert sum(figure.value for figure in judged.of_classes["test"].values()) / 7 == pytest.approx(accuracy)
    assert judged.further["test"]["top_5"].value >= accuracy
    crossed = crossed_evaluation(
        train,
        name="x",
        groups=(),
        classes=list("abcdefg"),
        clock=Clock("", None, stages=4),
        judging=Judging(folds=4, repeats=1),
    )
    assert list(crossed.classes["cross-validation"]) == list("abcdefg")
    assert "mean_reciprocal_rank" in crossed.further["cross-validation"]
    assert Evaluation.from_json(crossed.to_json()) == crossed
    old = {key: value for key, value in crossed.to_json().items() if key not in ("further", "classes")}
    assert Evaluation.from_json(old).classes == {}
