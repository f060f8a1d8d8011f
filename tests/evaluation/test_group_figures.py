from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation import Embeddings
from unconfound.evaluation.group_figures import group_figures
from unconfound.functional.group_accuracy import group_accuracy

NAMES = ("land on land", "land on water", "water on land", "water on water")


def grouped(labels: list[int], groups: list[int] | None) -> Embeddings:
    given = None if groups is None else torch.tensor(groups)
    return Embeddings(torch.zeros(len(labels), 1), torch.arange(len(labels)), torch.tensor(labels), given)


def test_hand_worked_groups() -> None:
    embeddings = grouped([0, 0, 0, 0, 1, 1, 1, -1, 1], [0, 0, 0, 1, 2, 2, 3, 3, -1])
    predictions = torch.tensor([0, 0, 1, 0, 1, 0, 1, 0, 0])
    train_groups = torch.tensor([0] * 6 + [1] * 1 + [2] * 1 + [3] * 2 + [-1] * 5)
    overall, by_name = group_figures(predictions, embeddings, names=NAMES, train_groups=train_groups)
    assert {name: (figure.value, figure.samples) for name, figure in by_name.items()} == {
        "land on land": (pytest.approx(2 / 3), 3),
        "land on water": (1, 1),
        "water on land": (0.5, 2),
        "water on water": (1, 1),
    }
    assert overall["worst_group"] == by_name["water on land"]
    assert overall["average_group"].value == pytest.approx(5 / 7)
    assert overall["average_group"].samples == 7
    assert overall["reweighted_average"].value == pytest.approx(0.6 * 2 / 3 + 0.1 + 0.1 * 0.5 + 0.2)


@given(st.integers(0, 2**31), st.integers(20, 200))
@settings(deadline=None, max_examples=20)
def test_values_are_those_of_group_accuracy(seed: int, samples: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high, count: torch.randint(0, high, (count,), generator=generator)  # noqa: E731
    labels, groups, predictions, train = draw(2, samples), draw(4, samples), draw(2, samples), draw(4, 90)
    embeddings = grouped(labels.tolist(), groups.tolist())
    overall, by_name = group_figures(predictions, embeddings, names=NAMES, train_groups=train)
    expected = group_accuracy(predictions, labels, groups, train_group_counts=torch.bincount(train, minlength=4))
    assert overall["worst_group"].value == pytest.approx(expected.worst)
    assert overall["average_group"].value == pytest.approx(expected.average)
    if expected.reweighted_average is None:
        assert "reweighted_average" not in overall
    else:
        assert overall["reweighted_average"].value == pytest.approx(expected.reweighted_average)
    for name, figure in by_name.items():
        assert figure.value == pytest.approx(float(expected.per_group[NAMES.index(name)]))
    for figure in (*overall.values(), *by_name.values()):
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


@pytest.mark.parametrize("train_groups", [[0, 0, 1], None, [-1, -1]])
def test_reweighted_average_is_left_out_where_it_is_undefined(train_groups: list[int] | None) -> None:
    given = None if train_groups is None else torch.tensor(train_groups)
    overall, by_name = group_figures(torch.tensor([0, 1]), grouped([0, 0], [0, 3]), names=NAMES, train_groups=given)
    assert set(overall) == {"worst_group", "average_group"}
    assert set(by_name) == {"land on land", "water on water"}


def test_a_group_that_was_not_trained_on_has_no_weight() -> None:
    overall, _ = group_figures(
        torch.tensor([0, 1]), grouped([0, 0], [0, 3]), names=NAMES, train_groups=torch.tensor([0, 0])
    )
    assert overall["reweighted_average"].value == 1
    assert overall["worst_group"].value == 0


def test_bad_input_is_refused() -> None:
    predictions = torch.tensor([0])
    with pytest.raises(ValueError, match="no labels or no groups"):
        group_figures(predictions, grouped([0], None), names=NAMES, train_groups=None)
    with pytest.raises(ValueError, match="no sample has both"):
        group_figures(predictions, grouped([0], [-1]), names=NAMES, train_groups=None)
    with pytest.raises(ValueError, match="group 4 has no name, for only 4 have"):
        group_figures(predictions, grouped([0], [4]), names=NAMES, train_groups=None)
