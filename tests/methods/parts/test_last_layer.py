from __future__ import annotations

import pytest
import torch

from methods.toy import spurious_source
from unconfound.functional.group_accuracy import group_accuracy
from unconfound.functional.proximal_logistic import penalized_logistic_regression
from unconfound.methods.parts.last_layer import fit_last_layer


def _fit(source, *, seed=0, **changes):
    torch.manual_seed(seed)
    options = {"classes": 2, "penalty": "l1", "inverse_strengths": (1.0, 0.1, 0.01), "draws": 10, **changes}
    return fit_last_layer(source.inputs, source.labels, source.groups, **options)


def test_it_does_not_lean_on_what_is_wrong_for_a_minority():
    source, test = spurious_source(600), spurious_source(2000, minority=0.5, seed=1)
    found = _fit(source)
    whole = penalized_logistic_regression(source.inputs, source.labels, classes=2, penalty="l1", inverse_strength=1.0)

    def worst(weight, bias):
        predictions = (test.inputs.double() @ weight.T + bias).argmax(1)
        return group_accuracy(predictions, test.labels, test.groups).worst

    assert worst(found.weight, found.bias) > worst(*whole) + 0.1
    leaning = (found.weight[1] - found.weight[0]).abs()
    assert leaning[1] < 0.2 * leaning[0]
    counts = torch.bincount(source.groups)
    assert (found.samples, found.groups) == (int(counts.min()), 4)
    assert found.worst_group_accuracy > 0.7


def test_one_draw_of_equal_groups_is_one_regression_on_all_samples():
    source = spurious_source(300, minority=0.5)
    smallest = int(torch.bincount(source.groups).min())
    keep = torch.cat([torch.nonzero(source.groups == group).flatten()[:smallest] for group in range(4)])
    rows, labels, groups = source.inputs[keep].double() * 3 + 7, source.labels[keep], source.groups[keep]
    found = fit_last_layer(rows, labels, groups, classes=2, penalty="l2", inverse_strengths=(0.3,), draws=1)
    deviation, mean = torch.std_mean(rows, 0, correction=0)
    weight, bias = penalized_logistic_regression(
        (rows - mean) / deviation, labels, classes=2, penalty="l2", inverse_strength=0.3
    )
    expected = (rows - mean) / deviation @ weight.T + bias
    torch.testing.assert_close(rows @ found.weight.T + found.bias, expected, rtol=1e-3, atol=1e-3)


def test_the_strength_is_that_of_the_best_worst_group_and_the_first_of_equals():
    source = spurious_source(600)
    # So strong a penalty leaves no weight: the worst group has no right answer.
    found = _fit(source, inverse_strengths=(1e-4, 0.3, 1e-4))
    assert found.inverse_strength == 0.3
    assert _fit(source, inverse_strengths=(2e-4, 1e-4)).inverse_strength == 2e-4


def test_it_follows_torch_s_generator():
    source = spurious_source(200)
    first, second, third = (_fit(source, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, third.weight)


def test_small_groups_constant_features_and_other_classes_do_no_harm():
    source = spurious_source(200)
    keep = (source.groups != 1) | (torch.cumsum(source.groups == 1, 0) == 1)
    rows = torch.cat([source.inputs, torch.ones(200, 1)], 1)[keep]
    found = fit_last_layer(
        rows, source.labels[keep], source.groups[keep], classes=3, penalty="l1", inverse_strengths=(1.0, 0.1), draws=3
    )
    assert (found.samples, found.groups) == (1, 4)
    assert found.weight.isfinite().all()
    assert found.weight.shape == (3, 6)
    assert (found.weight[:, -1] == 0).all()


def test_embeddings_that_are_no_numbers_are_refused():
    source = spurious_source(20)
    source.inputs[3, 1] = torch.nan
    with pytest.raises(ValueError, match="embeddings hold NaN or infinity: train with a lower learning rate"):
        _fit(source)
