"""Stratified folds, and what cross-validation over them gives."""

from __future__ import annotations

from collections.abc import Sequence
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


def prepared(embeddings: Embeddings) -> tuple[Embeddings, Int[Tensor, " labelled"], Int[Tensor, " classes"]]:
    """Return the labelled embeddings, the position of each one's label among the classes, and the classes.

    Raises:
        ValueError: no labels, fewer than two classes, or an embedding that is not finite.
    """
    known, labels = embeddings.labelled()
    classes, targets = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"all {len(labels)} labelled samples are of class {int(classes)}; a classifier needs two or more classes"
        )
    return known, targets, classes


def neighbouring_pairs(folds: int) -> list[tuple[int, int]]:
    """Pair each fold with the two folds before it and the two behind it, in a circle.

    A classifier that has seen neither fold of a pair helps to choose a hyper-parameter for each of the two test folds,
    judged on the other: so a choice takes four validation folds, and half as many fits.

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


def choose(
    correct: Bool[Tensor, "candidates repeats pairs samples"],
    assignment: Int[Tensor, "repeats samples"],
    pairs: Sequence[tuple[int, int]],
) -> Int[Tensor, "repeats folds"]:
    """Choose the candidate of each test fold: the first of those most often right on the folds next to it.

    Args:
        correct: where the classifier that saw neither fold of a pair is right.
        assignment: the fold of each sample.
        pairs: of folds.
    """
    folds = 1 + max(second for _, second in pairs)
    hits = torch.zeros(len(correct), len(assignment), folds, dtype=torch.int64)
    for position, (first, second) in enumerate(pairs):
        for test, validation in ((first, second), (second, first)):
            hits[:, :, test] += (correct[:, :, position] & (assignment == validation)).sum(2)
    # argmax gives the first of equals.
    return hits.argmax(0)


def scored(
    guesses: Int[Tensor, "repeats folds samples"],
    assignment: Int[Tensor, "repeats samples"],
    targets: Int[Tensor, " samples"],
    classes: Int[Tensor, " classes"],
    *,
    chosen: Float[Tensor, "repeats folds"] | None = None,
    notes: tuple[str, ...] = (),
) -> CrossValidation:
    """Judge each fold's classifier on that fold.

    Args:
        guesses: the position of a class for each sample, by the classifier of each test fold.
        assignment: the fold of each sample.
        targets: the position of the right class.
        classes: the label of each position.
        chosen: passed on.
        notes: to which those of small classes are added.
    """
    folds = guesses.shape[1]
    predicted = guesses.gather(1, assignment[:, None])[:, 0]
    tested = torch.nn.functional.one_hot(assignment, folds).double()
    right = ((predicted == targets).double()[:, None] @ tested)[:, 0]
    counts = torch.bincount(targets)
    small = [
        f"class {int(classes[position])} has {count} samples, fewer than there are folds ({folds}): some test folds "
        "hold none of it"
        for position, count in enumerate(counts.tolist())
        if count < folds
    ]
    return CrossValidation(right / tested.sum(1), classes[predicted], chosen, (*notes, *small))
