from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation import Embeddings
from unconfound.evaluation.folds import StratifiedFolds, neighbouring_pairs, outside, stratified_folds


def folded(assignment: torch.Tensor, targets: torch.Tensor, classes: list[int]) -> StratifiedFolds:
    embeddings = Embeddings(torch.zeros(len(targets), 1), torch.arange(len(targets)))
    return StratifiedFolds(embeddings, targets, torch.tensor(classes), assignment, int(assignment.max()) + 1)


@given(
    st.lists(st.integers(0, 3), min_size=12, max_size=80), st.integers(2, 12), st.integers(1, 3), st.integers(0, 2**31)
)
@settings(deadline=None)
def test_folds_share_out_every_class_and_the_whole_evenly(
    labels: list[int], folds: int, repeats: int, seed: int
) -> None:
    given = torch.tensor(labels)
    assignment = stratified_folds(given, folds=folds, repeats=repeats, seed=seed)
    assert assignment.shape == (repeats, len(labels))
    for repeat in assignment:
        for members in (torch.ones_like(given, dtype=torch.bool), *(given == label for label in range(4))):
            counts = torch.bincount(repeat[members], minlength=folds)
            assert len(counts) == folds
            assert counts.max() - counts.min() <= 1


def test_repeats_differ_and_the_seed_decides() -> None:
    labels = torch.arange(60) % 3
    first = stratified_folds(labels, seed=1)
    assert torch.equal(first, stratified_folds(labels, seed=1))
    assert not torch.equal(first, stratified_folds(labels, seed=2))
    assert len(first.unique(dim=0)) == 5


def test_each_test_fold_has_its_neighbours_for_validation() -> None:
    assert neighbouring_pairs(3) == [(0, 1), (0, 2), (1, 2)]
    pairs = neighbouring_pairs(10)
    assert len(pairs) == 20
    for fold in range(10):
        others = {other for pair in pairs if fold in pair for other in pair} - {fold}
        assert others == {(fold + step) % 10 for step in (-2, -1, 1, 2)}
    with pytest.raises(ValueError, match="2 folds leave none to choose"):
        neighbouring_pairs(2)


def test_outside_of_folds_are_the_others() -> None:
    assignment = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    kept = outside(assignment, [(0,), (1, 2)])
    assert kept.int().tolist() == [[[0, 1, 1, 0], [1, 0, 0, 1]], [[1, 1, 1, 0], [0, 0, 0, 1]]]


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_choice_is_that_of_a_loop_over_validation_folds(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    assignment = stratified_folds(torch.arange(30) % 2, folds=5, repeats=2, seed=seed)
    pairs = neighbouring_pairs(5)
    correct = torch.rand(3, 2, len(pairs), 30, generator=generator) < 0.5
    samples = folded(assignment, torch.ones(30, dtype=torch.int64), [0, 1])
    chosen = samples.choose(torch.tensor([0.0, 1.0, 2.0]), lambda members: correct.long())
    for repeat in range(2):
        for test in range(5):
            hits = [0, 0, 0]
            for position, pair in enumerate(pairs):
                for sample in range(30):
                    fold = int(assignment[repeat, sample])
                    if test in pair and fold in pair and fold != test:
                        for candidate in range(3):
                            hits[candidate] += int(correct[candidate, repeat, position, sample])
            assert int(chosen[repeat, test]) == hits.index(max(hits))


def test_a_classifier_is_judged_on_its_test_fold_alone() -> None:
    assignment = torch.tensor([[0, 0, 1, 1, 1, 2]])
    targets = torch.tensor([0, 1, 0, 1, 1, 0])
    guesses = torch.ones(1, 3, 6, dtype=torch.int64)
    guesses[0, 2] = 0
    result = folded(assignment, targets, [4, 7]).score(guesses)
    assert result.accuracies.tolist() == [[1 / 2, pytest.approx(2 / 3), 1]]
    assert result.predictions.tolist() == [[7, 7, 7, 7, 7, 4]]
    assert result.of_repeats() == [pytest.approx((1 / 2 + 2 / 3 + 1) / 3)]
    assert result.notes == ()


def test_classes_smaller_than_the_folds_are_said() -> None:
    targets = torch.tensor([0] * 10 + [1] * 2)
    assignment = stratified_folds(targets, folds=4, repeats=1)
    result = folded(assignment, targets, [3, 5]).score(torch.zeros(1, 4, 12, dtype=torch.int64))
    assert result.notes == ("class 5 has 2 samples, fewer than there are folds (4): some test folds hold none of it",)


def test_bad_input_is_refused() -> None:
    labels = torch.arange(7) % 2
    with pytest.raises(ValueError, match="10 folds of 7 labelled samples: give a number from 2 to 7"):
        stratified_folds(labels)
    with pytest.raises(ValueError, match="1 folds of 7"):
        stratified_folds(labels, folds=1)
    with pytest.raises(ValueError, match="repeats is 0"):
        stratified_folds(labels, folds=3, repeats=0)
    features = torch.zeros(7, 2)
    with pytest.raises(ValueError, match="all 7 labelled samples are of class 3"):
        StratifiedFolds.of(Embeddings(features, torch.arange(7), torch.full((7,), 3)), folds=3, repeats=1, seed=0)
    features[4, 1] = float("nan")
    with pytest.raises(ValueError, match="1 of 7 embeddings are not finite, the first that of sample 4"):
        StratifiedFolds.of(Embeddings(features, torch.arange(7), labels), folds=3, repeats=1, seed=0)
