"""Multinomial logistic regression to convergence, fast where features are many and correlated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unconfound.functional.inputs import check_finite

Floats = NDArray[np.float64]

# From so many values on, most steps are taken in float32, which halves their time; float64 has the last word.
_LARGE = 2**22
# Rows that a thread works on at a time: a few milliseconds.
_ROWS = 2**12


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a solve ended.

    Args:
        weights: [classes, features].
        bias: [classes].
        iterations: that it took.
        converged: False where it stopped for another reason.
    """

    weights: Floats
    bias: Floats
    iterations: int
    converged: bool


class LogisticRegression:
    """Minimises mean cross-entropy + strength / 2 x ||weights||^2, the bias unpenalised, at any number of strengths.

    scikit-learn minimises the same (its C is 1 / (strength x samples)), but takes hundreds of steps where features are
    correlated, as those of encoders are. Here L-BFGS moves along the principal axes of the features, each scaled by a
    bound of the loss's curvature along it (after Böhning, "Multinomial logistic regression algorithm", 1992), so that
    it takes several times fewer.

    Four million values or more (8,192 samples of 512 features) are held in float32, as embeddings come. L-BFGS then
    multiplies in float32 and adds up in float64, and goes on in float64 where it stopped, which ends at once if the
    gradient is as small as it seemed. So the optimum is as exact as that of few values.

    Args:
        features: [samples, features], centred.
        targets: [samples], from 0 to classes - 1.
        classes: their number.

    Raises:
        ValueError: a feature is not finite.
    """

    def __init__(self, features: Floats, targets: NDArray[np.int64], *, classes: int) -> None:
        check_finite("features", torch.from_numpy(features))
        self.targets, self.classes = targets, classes
        if features.shape[0] < features.shape[1]:
            # The solution lies in the span of the samples, which has fewer axes than there are features.
            _, deviations, axes = np.linalg.svd(features, full_matrices=False)
            self.axes, self.spectrum = axes.T, deviations**2 / len(features)
        else:
            moments = features.T @ features / len(features)
            with threadpool_limits(1, user_api="blas"):
                self.spectrum, self.axes = np.linalg.eigh(moments)
        rotated = features @ self.axes
        self.precisions: tuple[type[np.floating[Any]], ...] = (np.float64,)
        if rotated.size >= _LARGE:
            rotated, self.precisions = rotated.astype(np.float32), (np.float32, np.float64)
        self.rotated: NDArray[np.floating[Any]] = rotated

    def solve(
        self,
        strength: float,
        *,
        start: Solution | None = None,
        tolerance: float = 1e-5,
        iterations: int = 1000,
    ) -> Solution:
        """Minimise at one strength.

        Args:
            strength: of the regularisation, positive.
            start: where to start; zero where it is None.
            tolerance: the largest absolute gradient, on the scaled axes, that counts as none. At 1e-5 the loss was
                1e-6 above its minimum at strength 1e-3, and 4e-6 at 1e-4 (20,000 embeddings of Fashion-MNIST, 512
                features).
            iterations: at most so many.
        """
        from scipy.optimize import minimize  # takes most of a second to import

        scale = 1 / np.sqrt(np.append(np.maximum(self.spectrum, 0) / 4 + strength, 0.25))
        begin = np.zeros((self.classes, len(scale)))
        if start is not None:
            begin = np.column_stack([start.weights @ self.axes, start.bias]) / scale
        reached, taken, converged = begin.ravel(), 0, False
        # Threads of our own take whole blocks of rows. Those of the BLAS wait for each other in every product, busily,
        # which makes a solve many times slower where the machine has other work.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as pool:
            spread = map if len(self.targets) <= _ROWS else pool.map
            for precision in self.precisions:
                found = minimize(
                    self._loss,
                    reached,
                    args=(scale, strength, precision, spread),
                    jac=True,
                    method="L-BFGS-B",
                    # Below the resolution of float64 the loss cannot fall any further.
                    options={"gtol": tolerance, "ftol": 64 * np.finfo(float).eps, "maxiter": iterations - taken},
                )
                reached, taken, converged = found.x, taken + int(found.nit), bool(found.success)
        solution = reached.reshape(begin.shape) * scale
        return Solution(solution[:, :-1] @ self.axes.T, solution[:, -1], taken, converged)

    def _loss(
        self,
        scaled: Floats,
        scale: Floats,
        strength: float,
        precision: type[np.floating[Any]],
        spread: Callable[[Callable[[int], tuple[float, Floats]], Iterable[int]], Iterable[tuple[float, Floats]]],
    ) -> tuple[float, Floats]:
        """Give the loss and its gradient on the scaled axes."""
        solution = scaled.reshape(self.classes, len(scale)) * scale
        weights, bias = solution[:, :-1].astype(precision), solution[:, -1:].astype(precision)
        loss, gradient = 0.0, np.zeros_like(solution)
        for part, slope in spread(lambda first: self._part(first, weights, bias), range(0, len(self.targets), _ROWS)):
            loss += part
            gradient += slope
        gradient /= len(self.targets)
        gradient[:, :-1] += strength * solution[:, :-1]
        penalty = strength / 2 * float(np.square(solution[:, :-1]).sum())
        return loss / len(self.targets) + penalty, (gradient * scale).ravel()

    def _part(self, first: int, weights: NDArray[Any], bias: NDArray[Any]) -> tuple[float, Floats]:
        """Give the sum of cross-entropies of a block of rows, and its gradient."""
        rows = self.rotated[first : first + _ROWS].astype(weights.dtype, copy=False)
        own = (self.targets[first : first + _ROWS], np.arange(len(rows)))
        # Classes in rows, so that maxima and sums over classes run along memory.
        logits = weights @ rows.T + bias
        logits -= logits.max(axis=0)
        loss = -float(logits[own].sum(dtype=np.float64))
        probabilities = np.exp(logits, out=logits)
        totals = probabilities.sum(axis=0)
        loss += float(np.log(totals).sum(dtype=np.float64))
        probabilities /= totals
        probabilities[own] -= 1
        total = probabilities.sum(axis=1, dtype=np.float64)
        return loss, np.column_stack([probabilities @ rows, total])
