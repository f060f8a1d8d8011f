from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unconfound.evaluation import Embeddings, fit_probe
from unconfound.evaluation.predictions import classifier_predictions, probe_predictions, unfit_classifier


def embedded(features: torch.Tensor, labels: torch.Tensor | None = None) -> Embeddings:
    return Embeddings(features, torch.arange(len(features)), labels)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(2, 5), st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_predictions_are_the_most_probable_class_and_its_softmax(
    seed: int, samples: int, classes: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(samples, width, generator=generator)
    classifier = nn.Linear(width, classes)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    predictions = classifier_predictions(classifier, embedded(features))
    weight, bias = classifier.weight.double().tolist(), classifier.bias.double().tolist()
    for row in range(samples):
        logits = [
            sum(w * x for w, x in zip(weight[k], features[row].tolist(), strict=True)) + bias[k] for k in range(classes)
        ]
        total = sum(math.exp(logit - max(logits)) for logit in logits)
        assert predictions.classes[row] == max(range(classes), key=logits.__getitem__)
        assert float(predictions.confidence[row]) == pytest.approx(1 / total, rel=1e-4)
    assert not predictions.confidence.requires_grad


def test_the_probe_predicts_labels_not_with_rows() -> None:
    labels = torch.tensor([2, 5, 9]).repeat(10)
    features = 5 * nn.functional.one_hot(torch.arange(3).repeat(10)).float()
    probe = fit_probe(embedded(features, labels))
    predictions = probe_predictions(probe, embedded(features))
    assert torch.equal(predictions.classes, labels)
    assert torch.equal(predictions.classes, probe.predict(embedded(features)))
    assert bool((predictions.confidence > 0.5).all())


def test_a_half_precision_classifier_gives_full_precision_probabilities() -> None:
    predictions = classifier_predictions(nn.Linear(3, 2).to(torch.bfloat16), embedded(torch.randn(4, 3)))
    assert predictions.confidence.dtype == torch.float32
    assert bool((predictions.confidence >= 0.5).all())


def test_classifiers_that_do_not_fit_are_named() -> None:
    assert unfit_classifier(nn.Linear(4, 3), classes=3) == ""
    assert "tells 3 classes apart, these are 5" in unfit_classifier(nn.Linear(4, 3), classes=5)
    with pytest.raises(ValueError, match="takes 4 features, the embeddings have 2"):
        classifier_predictions(nn.Linear(4, 3), embedded(torch.zeros(1, 2)))
