"""Classifiers of frozen embeddings evaluated by cross-validation: a linear probe, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.evaluation.batched_logistic import fit_together, principal_axes
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.folds import CrossValidation, StratifiedFolds
from unconfound.evaluation.knn import knn_predict
from unconfound.evaluation.probe import STRENGTHS

# Numbers of a tensor of the solver, about; what does not fit is solved in turns.
_NUMBERS = 2**23
# Of the fits that choose a strength: their order has settled.
_SEARCH_TOLERANCE, _SEARCH_ITERATIONS = 1e-3, 300
# Where float32 reaches the tolerance; with weaker strengths weights become too large for it.
_FLOAT32_TOLERANCE, _FLOAT32_STRENGTH = 1e-5, 1e-3


def cross_validate_probe(
    embeddings: Embeddings,
    *,
    folds: int = 10,
    repeats: int = 5,
    seed: int = 0,
    strengths: Sequence[float] = STRENGTHS,
    tolerance: float = 1e-4,
    iterations: int = 1000,
) -> CrossValidation:
    """Evaluate a linear probe by repeated stratified cross-validation, all folds and repeats in one batched solve.

    The probe is that of `fit_probe`, fitted to convergence on features that are standardised with the moments of its
    own training folds. The strength for a test fold is the one of best accuracy, the stronger of equals, on the four
    folds next to it, each evaluated by fits that have seen neither it nor the test fold; all strengths are solved
    together, to a gradient of 1e-3 or for 300 iterations. Then the probe is fitted on all folds but the test fold.

    `cross_validate_adam_probe` is the protocol of the DACL and InfoGraph papers to the letter.

    Args:
        embeddings: samples without a label (-1) are left out.
        folds: of each repeat.
        repeats: assignments to folds.
        seed: of the assignments.
        strengths: to choose from. A single one is taken as it is.
        tolerance: of the last solve: the largest derivative of the loss by a weight that counts as none.
        iterations: at most so many in the last solve; fits that stop here without having converged are counted in
            `notes`.

    Raises:
        ValueError: fewer than two classes, a strength that is not positive, fewer samples than folds, 2 folds where
            there is a strength to choose, or an embedding that is not finite.
    """
    if not strengths or any(strength <= 0 for strength in strengths):
        raise ValueError(f"the strengths {tuple(strengths)} must be one or more positive numbers")
    folded = StratifiedFolds.of(embeddings, folds=folds, repeats=repeats, seed=seed)
    problem = _Problem(folded)
    candidates = torch.tensor(sorted(strengths, reverse=True), dtype=torch.float64)

    def guess(members: Bool[Tensor, "repeats pairs samples"]) -> Int[Tensor, "candidates repeats pairs samples"]:
        fits = members.flatten(0, 1)
        guesses, _ = problem.solve(
            fits.repeat(len(candidates), 1),
            candidates.repeat_interleave(len(fits)),
            tolerance=max(tolerance, _SEARCH_TOLERANCE),
            iterations=min(iterations, _SEARCH_ITERATIONS),
        )
        given: Tensor = guesses.unflatten(0, (len(candidates), *members.shape[:2]))
        return given

    chosen = folded.choose(candidates, guess)
    members = folded.training().flatten(0, 1)
    guesses, stopped = problem.solve(members, chosen.flatten(), tolerance=tolerance, iterations=iterations)
    notes = (
        f"{stopped} of {len(members)} linear probes of the cross-validation did not converge in {iterations} "
        "iterations; their accuracy may be too low",
    )
    return folded.score(guesses.unflatten(0, (repeats, folds)), chosen=chosen, notes=notes if stopped else ())


def cross_validate_knn(
    embeddings: Embeddings, *, neighbours: int = 5, folds: int = 10, repeats: int = 5, seed: int = 0
) -> CrossValidation:
    """Evaluate nearest neighbours (`knn_predict`) on the same folds as the linear probe of the same seed.

    Raises:
        ValueError: as `cross_validate_probe`, or more neighbours than a training set has samples.
    """
    folded = StratifiedFolds.of(embeddings, folds=folds, repeats=repeats, seed=seed)
    known = folded.embeddings
    guesses = torch.zeros(repeats, folds, len(known), dtype=torch.int64)
    for repeat in range(repeats):
        for fold in range(folds):
            test = folded.assignment[repeat] == fold
            labels = knn_predict(known.where(~test), known.where(test), neighbours=neighbours)
            guesses[repeat, fold, test] = torch.searchsorted(folded.classes, labels)
    return folded.score(guesses)


def overall_standard(features: Float[Tensor, "samples features"]) -> Float[Tensor, "samples features"]:
    """Standardise by the moments of all samples, in float64; a constant feature becomes 0."""
    values = features.double()
    mean, deviation = values.mean(0), values.std(0, correction=0)
    # A constant float32 feature shows a deviation of rounding size, which must not be blown up to 1.
    constant = (deviation <= 1e-6 * mean.abs()) | (deviation == 0)
    return torch.where(constant, 0.0, (values - mean) / torch.where(constant, 1.0, deviation))


class _Problem:
    """Samples of which probes are fitted on parts.

    The features are standardised by the moments of all samples for numerical reasons alone: each fit then standardises
    by those of its members, which undoes it.
    """

    def __init__(self, folded: StratifiedFolds) -> None:
        self.features = overall_standard(folded.embeddings.features)
        self.single = self.features.float()
        self.axes = principal_axes(self.single)
        self.targets, self.classes = folded.targets, len(folded.classes)

    def solve(
        self,
        members: Bool[Tensor, "fits samples"],
        strengths: Float[Tensor, " fits"],
        *,
        tolerance: float,
        iterations: int,
    ) -> tuple[Int[Tensor, "fits samples"], int]:
        """Return each fit's guess for every sample, and how many fits did not converge."""

        def solved(part: Int[Tensor, " part"], features: Tensor) -> tuple[Tensor, int]:
            fits = fit_together(
                features,
                self.targets,
                members=members[part],
                moments=self._moments(members[part]),
                strengths=strengths[part],
                axes=self.axes,
                tolerance=tolerance,
                iterations=iterations,
            )
            return fits.guesses, int((~fits.converged).sum())

        threads = torch.get_num_threads()
        parts, features = [], []
        single = (strengths >= _FLOAT32_STRENGTH) & (tolerance >= _FLOAT32_TOLERANCE)
        for values, wanted in ((self.single, single.nonzero()[:, 0]), (self.features, (~single).nonzero()[:, 0])):
            numbers = len(wanted) * self.classes * max(values.shape)
            # Dealt out, so that each turn has its share of weak strengths, which take longest.
            turns = min(len(wanted), max(threads, -(-numbers // _NUMBERS)))
            parts += [wanted[turn::turns] for turn in range(turns)]
            features += [values] * turns
        guesses, stopped = torch.zeros(members.shape, dtype=torch.int64), 0
        # Threads of our own, each with its own fits: those within a product wait for each other at each step, busily,
        # which is many times slower where the machine has other work.
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for part, (given, failed) in zip(parts, pool.map(solved, parts, features), strict=True):
                    guesses[part] = given
                    stopped += failed
        finally:
            # The threads that others start later shall have as many again.
            torch.set_num_threads(threads)
        return guesses, stopped

    def _moments(self, members: Bool[Tensor, "fits samples"]) -> tuple[Tensor, Tensor]:
        shares = members / members.sum(1, keepdim=True).double()
        mean = shares @ self.features
        deviation = (shares @ self.features.square() - mean.square()).clamp_min(0).sqrt()
        # What varies among the test samples alone is constant here, up to rounding.
        return mean, torch.where(deviation <= 1e-6, 1.0, deviation)
