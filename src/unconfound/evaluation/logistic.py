"""Multinomial logistic regression to convergence, fast where features are many and correlated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

Array = NDArray[np.float64]

# Products of fewer multiplications run in one thread: they take milliseconds, and on a busy machine threads that wait
# for each other at every step make the solve tens of times slower.
_THREADS_PAY = 10**8


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a solve ended.

    Args:
        weights: [classes, features].
        bias: [classes].
        iterations: that it took.
        converged: False where it stopped for another reason.
    """

    weights: Array
    bias: Array
    iterations: int
    converged: bool


class LogisticRegression:
    """Minimises mean cross-entropy + strength / 2 x ||weights||^2, the bias unpenalised, at any number of strengths.

    scikit-learn minimises the same (its C is 1 / (strength x samples)), but takes hundreds of steps where features are
    correlated, as those of encoders are. Here L-BFGS moves along the principal axes of the features, each scaled by a
    bound of the loss's curvature along it (after Böhning, "Multinomial logistic regression algorithm", 1992), so that
    it takes several times fewer.

    Args:
        features: [samples, features], centred.
        targets: [samples], from 0 to classes - 1.
        classes: their number.
    """

    def __init__(self, features: Array, targets: NDArray[np.int64], *, classes: int) -> None:
        self.targets, self.classes = targets, classes
        if features.shape[0] < features.shape[1]:
            # The solution lies in the span of the samples, which has fewer axes than there are features.
            _, deviations, axes = np.linalg.svd(features, full_matrices=False)
            self.axes, self.spectrum = axes.T, deviations**2 / len(features)
        else:
            self.spectrum, self.axes = np.linalg.eigh(features.T @ features / len(features))
        self.rotated = features @ self.axes

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
            tolerance: the largest absolute gradient, on the scaled axes, that counts as none.
            iterations: at most so many.
        """
        scale = 1 / np.sqrt(np.append(np.maximum(self.spectrum, 0) / 4 + strength, 0.25))
        begin = np.zeros((self.classes, len(scale)))
        if start is not None:
            begin = np.column_stack([start.weights @ self.axes, start.bias]) / scale
        small = self.rotated.size * self.classes < _THREADS_PAY
        with threadpool_limits(1 if small else None, user_api="blas"):
            found = minimize(
                self._loss,
                begin.ravel(),
                args=(scale, strength),
                jac=True,
                method="L-BFGS-B",
                # Below the resolution of float64 the loss cannot fall any further.
                options={"gtol": tolerance, "ftol": 64 * np.finfo(float).eps, "maxiter": iterations},
            )
        solution = found.x.reshape(begin.shape) * scale
        return Solution(solution[:, :-1] @ self.axes.T, solution[:, -1], int(found.nit), bool(found.success))

    def _loss(self, scaled: Array, scale: Array, strength: float) -> tuple[float, Array]:
        """Give the loss and its gradient on the scaled axes."""
        solution = scaled.reshape(self.classes, len(scale)) * scale
        samples, rows = len(self.targets), np.arange(len(self.targets))
        logits = self.rotated @ solution[:, :-1].T + solution[:, -1]
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[rows, self.targets]
        probabilities = np.exp(logits, out=logits)
        totals = probabilities.sum(axis=1, keepdims=True)
        loss = float(np.log(totals).sum() - own.sum()) / samples
        probabilities /= totals
        probabilities[rows, self.targets] -= 1
        gradient = np.column_stack([probabilities.T @ self.rotated, probabilities.sum(axis=0)]) / samples
        gradient[:, :-1] += strength * solution[:, :-1]
        penalty = strength / 2 * float(np.square(solution[:, :-1]).sum())
        return loss + penalty, (gradient * scale).ravel()
