from __future__ import annotations

import pytest
import torch

from methods.toy import image_source
from unconfound.methods.parts.labelled import balanced_weights, cross_entropy, logged_by_name, source_groups


def test_balanced_weights_give_every_value_the_same_sum():
    values = torch.tensor([4, 0, 4, 4, 2, 0])
    weights = balanced_weights(values)
    assert [weights[values == value].sum().item() for value in (0, 2, 4)] == pytest.approx([1, 1, 1])
    assert weights[values == 4].unique().numel() == 1


def test_groups_that_are_not_there_are_told():
    with pytest.raises(ValueError, match="toys has none"):
        source_groups(image_source(), method="x")


def test_cross_entropy_is_taken_in_float32_or_better():
    logits = torch.randn(3, 4)
    labels = torch.tensor([0, 1, 3])
    assert cross_entropy(logits.half(), labels).dtype == torch.float32
    assert cross_entropy(logits.double(), labels).dtype == torch.float64


def test_a_few_numbers_are_named_for_the_log():
    assert logged_by_name("of", ("a", "b"), torch.tensor([1.0, 2.0])) == {"of_a": 1.0, "of_b": 2.0}
    assert logged_by_name("of", ("a",) * 21, torch.zeros(21)) == {}
