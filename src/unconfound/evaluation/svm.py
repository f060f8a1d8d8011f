"""A support vector machine evaluated by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unconfound.evaluation.cross_validation import overall_standard
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.folds import CrossValidation, StratifiedFolds

COSTS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)


def cross_validate_svm(
    embeddings: Embeddings,
    *,
    folds: int = 10,
    repeats: int = 5,
    seed: int = 0,
    costs: Sequence[float] = COSTS,
    standardise: bool = True,
) -> CrossValidation:
    """Evaluate scikit-learn's `SVC`, whose kernel is exp(-distance^2 / (features x variance)), on the same folds.

    That is InfoGraph's second evaluation (`svc_classify`), with two departures: the features are standardised, and the
    cost C for a test fold is chosen as `cross_validate_probe` chooses its strength, on the four folds next to it, where
    InfoGraph divides the training folds anew into five. Distances between samples are computed once, so that the
    features are standardised by the moments of all samples; no label takes part in that. The variance in the kernel is
    that of each classifier's training samples.

    Args:
        embeddings: samples without a label (-1) are left out.
        folds: of each repeat.
        repeats: assignments to folds.
        seed: of the assignments.
        costs: to choose from; the smallest of equals is taken. A single one is taken as it is.
        standardise: False takes the features as they are, as InfoGraph does.

    Raises:
        ValueError: fewer than two classes, a cost that is not positive, fewer samples than folds, 2 folds where there
            is a cost to choose, or an embedding that is not finite.
    """
    if not costs or any(cost <= 0 for cost in costs):
        raise ValueError(f"the costs {tuple(costs)} must be one or more positive numbers")
    folded = StratifiedFolds.of(embeddings, folds=folds, repeats=repeats, seed=seed)
    features = folded.embeddings.features
    machines = _Machines(overall_standard(features) if standardise else features.double(), folded.targets)
    candidates = torch.tensor(sorted(costs), dtype=torch.float64)

    def guess(members: Bool[Tensor, "repeats pairs samples"]) -> Int[Tensor, "candidates repeats pairs samples"]:
        fits = torch.stack([machines.guesses(each, candidates) for each in members.flatten(0, 1)], 1)
        given: Tensor = fits.unflatten(1, members.shape[:2])
        return given

    chosen = folded.choose(candidates, guess)
    guesses = [
        machines.guesses(each, cost)
        for each, cost in zip(folded.training().flatten(0, 1), chosen.reshape(-1, 1), strict=True)
    ]
    return folded.score(torch.cat(guesses).unflatten(0, (repeats, folds)), chosen=chosen)


class _Machines:
    """Samples, and the distances between them, of which machines are fitted on parts."""

    def __init__(self, features: Float[Tensor, "samples features"], targets: Int[Tensor, " samples"]) -> None:
        self.features, self.targets = features, targets.numpy()
        squares = features.square().sum(1)
        self.distances = (squares[:, None] + squares - 2 * features @ features.T).clamp_min(0).numpy()
        self.sums, self.squares = features.sum(1), squares

    def guesses(self, members: Tensor, costs: Float[Tensor, " costs"]) -> Int[Tensor, "costs samples"]:
        """Fit on the members at each cost, and guess the class of the other samples; members keep the class 0."""
        from sklearn.svm import SVC

        inside, others = members.numpy().nonzero()[0], (~members).numpy().nonzero()[0]
        given = np.zeros((len(costs), len(members)), dtype=np.int64)
        labels = self.targets[inside]
        if len(np.unique(labels)) == 1:
            given[:, others] = labels[0]
            return torch.from_numpy(given)
        width = self.features.shape[1]
        mean = float(self.sums[members].mean()) / width
        variance = float(self.squares[members].mean()) / width - mean**2
        scale = 1 / (width * variance) if variance > 0 else 1.0
        kernel: NDArray[np.float64] = np.exp(-scale * self.distances[:, inside])
        for position, cost in enumerate(costs.tolist()):
            machine = SVC(C=cost, kernel="precomputed").fit(kernel[inside], labels)
            given[position, others] = machine.predict(kernel[others])
        return torch.from_numpy(given)
