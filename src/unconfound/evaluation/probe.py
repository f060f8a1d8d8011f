"""A linear classifier on frozen embeddings, fitted to convergence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from numpy.typing import NDArray
from torch import Tensor

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.logistic_regression import LogisticRegression, Solution
from unconfound.functional.labels import Array, whole_numbers

STRENGTHS = (1.0, 0.1, 0.01, 1e-3, 1e-4)
# From so many samples on, the solves that choose a strength stop at the loose tolerance: accuracy has settled to a few
# samples in a thousand there, at a tenth of the steps.
MANY_SAMPLES = 10_000
SEARCH_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier of standardised embeddings.

    Args:
        mean: of the embeddings it was fitted on.
        scale: their standard deviation; 1 where a feature is constant.
        weights: on standardised features.
        bias: a class.
        classes: the label of each row of `weights`, ascending.
        strength: the regularisation that was chosen.
        validation_accuracy: with which it was chosen; None where there was no choice to make.
        notes: what a reader must know: solves that did not converge.
    """

    mean: Float[Tensor, " features"]
    scale: Float[Tensor, " features"]
    weights: Float[Tensor, "classes features"]
    bias: Float[Tensor, " classes"]
    classes: Int[Tensor, " classes"]
    strength: float
    validation_accuracy: float | None = None
    notes: tuple[str, ...] = ()

    def logits(self, embeddings: Embeddings) -> Float[Tensor, "samples classes"]:
        """Give each class's unnormalised log probability.

        Raises:
            ValueError: the embeddings have another number of features than the probe, or one is not finite.
        """
        features = embeddings.features.shape[1]
        if features != len(self.mean):
            raise ValueError(
                f"the embeddings have {features} features, but the probe was fitted on {len(self.mean)}; "
                "embed both with the same encoder"
            )
        embeddings.check_finite()
        return ((embeddings.features.double() - self.mean) / self.scale) @ self.weights.T + self.bias

    def predict(self, embeddings: Embeddings) -> Int[Tensor, " samples"]:
        """Give each sample's most probable label; the smallest of equally probable ones."""
        return self.classes[self.logits(embeddings).argmax(dim=1)]


def fit_probe(
    embeddings: Embeddings,
    *,
    seed: int = 0,
    validation_share: float = 0.2,
    strengths: Sequence[float] = STRENGTHS,
    tolerance: float = 1e-5,
    iterations: int = 1000,
) -> LinearProbe:
    """Fit a linear probe, its regularisation chosen on held-out training samples.

    The probe minimises mean cross-entropy + strength / 2 x ||weights||^2, the bias unpenalised, over standardised
    features. Every strength is fitted on the same part of the samples, from strong to weak, each starting at the one
    before, to `tolerance`, or to 1e-3 where there are 10,000 samples or more; the strength of best accuracy on the
    rest, the stronger of equals, is fitted again on all, to `tolerance`.

    Args:
        embeddings: samples without a label (-1) are left out.
        seed: of the split.
        validation_share: the share of each class that is held out, in (0, 1); at least one sample of a class with two
            or more, none of a class with one.
        strengths: to choose from. A single one is taken as it is.
        tolerance: of the last solve; see `LogisticRegression.solve`.
        iterations: at most so many a solve; one that stops here without having converged is named in `notes`.

    Raises:
        ValueError: fewer than two classes, a strength that is not positive, a share outside of (0, 1), or an embedding
            that is not finite.
    """
    if not strengths or any(strength <= 0 for strength in strengths):
        raise ValueError(f"the strengths {tuple(strengths)} must be one or more positive numbers")
    if not 0 < validation_share < 1:
        raise ValueError(f"the validation share {validation_share} is not between 0 and 1; try 0.2")
    known, classes, targets = embeddings.by_class()
    features, positions = known.features.double().numpy(), targets.numpy()
    held_out = stratified_split(targets, share=validation_share, seed=seed).numpy()
    strength, accuracy, start, notes = max(strengths), None, None, []
    if len(strengths) > 1 and held_out.any():
        mean, scale = _moments(features[~held_out])
        held = (features[held_out] - mean) / scale
        model = LogisticRegression((features[~held_out] - mean) / scale, positions[~held_out], classes=len(classes))
        solution, loose = None, max(tolerance, SEARCH_TOLERANCE) if len(features) >= MANY_SAMPLES else tolerance
        for candidate in sorted(strengths, reverse=True):
            solution = model.solve(candidate, start=solution, tolerance=loose, iterations=iterations)
            notes += _unless_converged(solution, candidate)
            guesses = (held @ solution.weights.T + solution.bias).argmax(axis=1)
            reached = float((guesses == positions[held_out]).mean())
            if accuracy is None or reached > accuracy:
                strength, accuracy, start = candidate, reached, solution
    elif len(strengths) > 1:
        notes.append(
            f"no class has two samples to choose the probe's regularisation on; the strongest, {strength:g}, is used"
        )
    mean, scale = _moments(features)
    model = LogisticRegression((features - mean) / scale, positions, classes=len(classes))
    solution = model.solve(strength, start=start, tolerance=tolerance, iterations=iterations)
    return LinearProbe(
        mean=torch.from_numpy(mean),
        scale=torch.from_numpy(scale),
        weights=torch.from_numpy(solution.weights),
        bias=torch.from_numpy(solution.bias),
        classes=classes,
        strength=strength,
        validation_accuracy=accuracy,
        notes=(*notes, *_unless_converged(solution, strength)),
    )


def stratified_split(labels: Integer[Array, " samples"], *, share: float, seed: int) -> Tensor:
    """Choose which samples to hold out: `share` of each class, rounded, but neither none nor all of it.

    A class with a single sample is not held out.
    """
    labels = whole_numbers("labels", labels)
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        count = min(len(members) - 1, max(1, round(share * len(members))))
        held_out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return held_out


def _moments(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # A constant float32 feature shows a deviation of rounding size, which must not be blown up to 1.
    constant = deviation <= 1e-6 * np.abs(mean)
    return mean, np.where(constant | (deviation == 0), 1.0, deviation)


def _unless_converged(solution: Solution, strength: float) -> list[str]:
    if solution.converged:
        return []
    return [
        f"the linear probe did not converge in {solution.iterations} iterations at strength {strength:g}; "
        "its accuracy may be too low"
    ]
