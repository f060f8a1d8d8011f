"""Stratified folds, and what cross-validation over them gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import repeated_folds
from unconfound.functional.labels import Array, whole_numbers


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """How a classifier did on the folds that it had not seen.

    Args:
        accuracies: on each test fold.
        predictions: the label that each sample was given while in the test fold.
        chosen: the hyper-parameter that each classifier was fitted with; None where there was nothing to choose.
        notes: what a reader must know.
    """

    accuracies: Float[Tensor, "repeats folds"]
    predictions: Int[Tensor, "repeats samples"]
    chosen: Float[Tensor, "repeats folds"] | None = None
    notes: tuple[str, ...] = ()

    def figure(self) -> Figure:
        """Give the mean accuracy and its 95 % interval; see `unconfound.evaluation.intervals.repeated_folds`."""
        return repeated_folds(self.accuracies, samples=self.predictions.shape[1])

    def of_repeats(self) -> list[float]:
        """Give the accuracy of each repeat: the mean over its folds."""
        means: list[float] = self.accuracies.mean(1).tolist()
        return means


def stratified_folds(
    labels: Integer[Array, " samples"], *, folds: int = 10, repeats: int = 5, seed: int = 0
) -> Int[Tensor, "repeats samples"]:
    """Assign samples to folds, each repeat anew: the number of a class's samples differs by one at most among folds.

    So do the sizes of the folds.

    Raises:
        TypeError: labels are not integers.
        ValueError: fewer than 2 folds, more folds than samples, or no repeat.
    """
    labels = whole_numbers("labels", labels)
    if not 2 <= folds <= len(labels):
        raise ValueError(f"{folds} folds of {len(labels)} labelled samples: give a number from 2 to {len(labels)}")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; give at least 1")
    generator = torch.Generator().manual_seed(seed)
    assignment = torch.empty(repeats, len(labels), dtype=torch.int64)
    for repeat in range(repeats):
        shuffled = torch.randperm(len(labels), generator=generator)
        by_class = shuffled[labels[shuffled].argsort(stable=True)]
        # Dealt out like cards, class after class.
        assignment[repeat, by_class] = torch.arange(len(labels)) % folds
    return assignment


@dataclass(frozen=True, eq=False)
class StratifiedFolds:
    """Labelled embeddings in stratified folds, on which classifiers are compared.

    Args:
        embeddings: the labelled ones.
        targets: the position of each one's label among the classes.
        classes: the label of each position.
        assignment: the fold of each sample.
        count: of the folds.
    """

    embeddings: Embeddings
    targets: Int[Tensor, " samples"]
    classes: Int[Tensor, " classes"]
    assignment: Int[Tensor, "repeats samples"]
    count: int

    @classmethod
    def of(cls, embeddings: Embeddings, *, folds: int, repeats: int, seed: int) -> StratifiedFolds:
        """Assign the labelled embeddings by `stratified_folds`.

        Raises:
            ValueError: as `Embeddings.by_class` or `stratified_folds`.
        """
        known, classes, targets = embeddings.by_class()
        assignment = stratified_folds(targets, folds=folds, repeats=repeats, seed=seed)
        return cls(known, targets, classes, assignment, folds)

    def training(self) -> Bool[Tensor, "repeats folds samples"]:
        """Return which samples lie outside of each test fold."""
        return outside(self.assignment, [(fold,) for fold in range(self.count)])

    def choose(
        self,
        candidates: Float[Tensor, " candidates"],
        guess: Callable[[Bool[Tensor, "repeats pairs samples"]], Int[Tensor, "candidates repeats pairs samples"]],
    ) -> Float[Tensor, "repeats folds"]:
        """Choose a hyper-parameter for each test fold: the first of those most often right on the folds next to it.

        Args:
            candidates: to choose from. A single one is taken as it is.
            guess: from the samples that classifiers are fitted on to the position of the class that each of them, with
                each candidate, predicts of every sample.

        Raises:
            ValueError: as `neighbouring_pairs`.
        """
        if len(candidates) == 1:
            return candidates.expand(len(self.assignment), self.count)
        pairs = neighbouring_pairs(self.count)
        correct = guess(outside(self.assignment, pairs)) == self.targets
        hits = torch.zeros(len(candidates), len(self.assignment), self.count, dtype=torch.int64)
        for position, pair in enumerate(pairs):
            for test, validation in (pair, pair[::-1]):
                hits[:, :, test] += (correct[:, :, position] & (self.assignment == validation)).sum(2)
        # argmax gives the first of equals.
        return candidates[hits.argmax(0)]

    def score(
        self,
        guesses: Int[Tensor, "repeats folds samples"],
        *,
        chosen: Float[Tensor, "repeats folds"] | None = None,
        notes: tuple[str, ...] = (),
    ) -> CrossValidation:
        """Evaluate each fold's classifier on that fold.

        Args:
            guesses: the position of a class for each sample, by the classifier of each test fold.
            chosen: passed on.
            notes: to which those of small classes are added.
        """
        predicted = guesses.gather(1, self.assignment[:, None])[:, 0]
        tested = torch.nn.functional.one_hot(self.assignment, self.count).double()
        right = ((predicted == self.targets).double()[:, None] @ tested)[:, 0]
        small = [
            f"class {int(self.classes[position])} has {count} samples, fewer than there are folds ({self.count}): some "
            "test folds hold none of it"
            for position, count in enumerate(torch.bincount(self.targets).tolist())
            if count < self.count
        ]
        return CrossValidation(right / tested.sum(1), self.classes[predicted], chosen, (*notes, *small))


def neighbouring_pairs(folds: int) -> list[tuple[int, int]]:
    """Pair each fold with the two folds before it and the two behind it, in a circle.

    A classifier that has seen neither fold of a pair helps to choose a hyper-parameter for each of the two test folds,
    evaluated on the other: so a choice takes four validation folds, and half as many fits.

    Raises:
        ValueError: fewer than 3 folds, which leave nothing to fit on.
    """
    if folds < 3:
        raise ValueError(f"{folds} folds leave none to choose a hyper-parameter on; give 3 or more, or a single value")
    pairs = [sorted((fold, (fold + step) % folds)) for fold in range(folds) for step in (1, 2)]
    return sorted({(first, second) for first, second in pairs})


def outside(
    assignment: Int[Tensor, "repeats samples"], left_out: Sequence[tuple[int, ...]]
) -> Bool[Tensor, "repeats sets samples"]:
    """Return, for each repeat and each tuple of folds, which samples lie in none of these folds."""
    return torch.stack([~torch.isin(assignment, torch.tensor(folds)) for folds in left_out], 1)
