"""Every judge refuses embeddings that are no numbers, in one line that says which."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.evaluation import Embeddings, fit_probe, knn_predict
from unconfound.evaluation.adam_probe import cross_validate_adam_probe
from unconfound.evaluation.batched_logistic import principal_axes
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.cross_validation import cross_validate_knn, cross_validate_probe
from unconfound.evaluation.logistic_regression import LogisticRegression
from unconfound.evaluation.predictions import classifier_predictions, probe_predictions
from unconfound.evaluation.retrieval_figures import retrieval_figures
from unconfound.evaluation.svm import cross_validate_svm
from unconfound.evaluation.unseen import evaluate_unseen
from unconfound.report.plane import project


def embeddings(*, bad: float | None = None) -> Embeddings:
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    if bad is not None:
        features[[13, 30], [2, 0]] = bad
    return Embeddings(features, torch.arange(40) + 100, torch.arange(40) % 2, None, [f"{row}.png" for row in range(40)])


GOOD = embeddings()
JUDGES = {
    "probe": fit_probe,
    "probe's predictions": lambda each: probe_predictions(fit_probe(GOOD), each),
    "classifier": lambda each: classifier_predictions(nn.Linear(6, 2), each),
    "knn, train": lambda each: knn_predict(each, GOOD),
    "knn, test": lambda each: knn_predict(GOOD, each),
    "probe, folds": cross_validate_probe,
    "adam probe, folds": cross_validate_adam_probe,
    "svm, folds": cross_validate_svm,
    "knn, folds": cross_validate_knn,
    "retrieval": retrieval_figures,
    "unseen classes": lambda each: evaluate_unseen({"test": each}, clock=Clock("", None, stages=1)),
}


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_names_the_first_sample_that_is_no_number(judge: str, bad: float) -> None:
    with pytest.raises(ValueError, match=r"^2 of 40 embeddings are not finite, the first that of sample 113 \(13\.png"):
        JUDGES[judge](embeddings(bad=bad))


def test_a_sample_without_a_label_is_not_judged_and_may_be_anything() -> None:
    each = embeddings(bad=torch.nan)
    assert each.labels is not None
    each.labels[[13, 30]] = -1
    assert fit_probe(each).classes.tolist() == [0, 1]
    assert knn_predict(each, GOOD).shape == (40,)


def test_what_judges_are_made_of_refuses_it_too() -> None:
    features = embeddings(bad=torch.nan).features
    with pytest.raises(ValueError, match="2 of 40 rows hold NaN or infinity, the first is row 13"):
        LogisticRegression(features.double().numpy(), (torch.arange(40) % 2).numpy(), classes=2)
    with pytest.raises(ValueError, match="2 of 40 rows hold NaN or infinity, the first is row 13"):
        principal_axes(features)
    with pytest.raises(ValueError, match="2 of 40 rows hold NaN or infinity, the first is row 13"):
        project(features)
