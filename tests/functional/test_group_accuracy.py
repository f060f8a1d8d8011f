from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.group_accuracy import group_accuracy


def test_hand_worked_example():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    groups = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 3, 3])
    predictions = torch.tensor([0, 0, 0, 1, 1, 1, 0, 0, 1, 1])
    scores = group_accuracy(predictions, labels, groups, train_group_counts=torch.tensor([60, 30, 0, 10]))
    assert scores.per_group[[0, 1, 3]].tolist() == [0.75, 0.5, 1.0]
    assert scores.per_group[2].isnan()
    assert scores.counts.tolist() == [4, 4, 0, 2]
    assert scores.worst == 0.5
    assert scores.average == pytest.approx(0.7)
    assert scores.reweighted_average == pytest.approx(0.6 * 0.75 + 0.3 * 0.5 + 0.1 * 1.0)


@settings(deadline=None, max_examples=30)
@given(
    samples=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30),
    train=st.lists(st.integers(1, 9), min_size=5, max_size=5),
)
def test_equals_its_definition(samples, train):
    predictions, labels, groups = torch.tensor(samples).T
    scores = group_accuracy(predictions, labels, groups, train_group_counts=torch.tensor(train))
    accuracies = {}
    for group in range(5):
        hits = [prediction == label for prediction, label, where in samples if where == group]
        if hits:
            accuracies[group] = sum(hits) / len(hits)
            assert scores.per_group[group].item() == pytest.approx(accuracies[group])
        else:
            assert math.isnan(scores.per_group[group])
    assert scores.worst == pytest.approx(min(accuracies.values()))
    assert scores.average == pytest.approx(sum(p == label for p, label, _ in samples) / len(samples))
    if len(accuracies) == 5:
        expected = sum(share * accuracies[group] for group, share in enumerate(train)) / sum(train)
        assert scores.reweighted_average == pytest.approx(expected)
    else:
        assert scores.reweighted_average is None


def test_weights_in_proportion_to_the_test_groups_give_the_average():
    predictions, labels = torch.randint(0, 2, (2, 50), generator=torch.Generator().manual_seed(0))
    groups = torch.arange(50) % 3
    scores = group_accuracy(predictions, labels, groups, train_group_counts=7 * groups.bincount())
    assert scores.reweighted_average == pytest.approx(scores.average)
    assert scores.worst <= scores.average


def test_without_training_counts_there_is_no_reweighted_average():
    scores = group_accuracy(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([2, 2]))
    assert scores.reweighted_average is None
    assert scores.per_group.isnan().tolist() == [True, True, False]
    assert scores.worst == scores.average == 0.5


def test_a_group_outside_of_training_does_not_count_in_the_reweighted_average():
    scores = group_accuracy(
        torch.tensor([0, 1]),
        torch.tensor([0, 0]),
        torch.tensor([0, 1]),
        train_group_counts=torch.tensor([5, 0, 0]),
    )
    assert scores.reweighted_average == 1
    assert scores.worst == 0


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input():
    two, three = torch.tensor([0, 1]), torch.tensor([0, 1, 1])
    with pytest.raises(ValueError, match="one a sample, got 3, 2 and 2"):
        group_accuracy(three, two, two)
    with pytest.raises(ValueError, match="at least one sample, got none"):
        group_accuracy(two[:0], two[:0], two[:0])
    with pytest.raises(ValueError, match="groups must be 0 or above, got -1"):
        group_accuracy(two, two, torch.tensor([0, -1]))
    with pytest.raises(TypeError, match=r"predictions must be integers, got torch.float32"):
        group_accuracy(two.float(), two, two)
    with pytest.raises(ValueError, match=r"labels must have one dimension, got shape \(1, 2\)"):
        group_accuracy(two, two[None], two)
    with pytest.raises(ValueError, match="groups go up to 1, got 1 entries"):
        group_accuracy(two, two, two, train_group_counts=torch.tensor([3]))
    with pytest.raises(ValueError, match=r"not all 0, got \[0, 0\]: give None"):
        group_accuracy(two, two, two, train_group_counts=torch.tensor([0, 0]))
    with pytest.raises(ValueError, match=r"0 or above and not all 0, got \[4, -1\]"):
        group_accuracy(two, two, two, train_group_counts=torch.tensor([4, -1]))
