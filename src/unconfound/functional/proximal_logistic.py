"""Logistic regression with an l1 or an l2 penalty, by proximal gradients."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.inputs import check_floating
from unconfound.functional.labels import check_labels

Penalty = Literal["l1", "l2"]


@torch.no_grad()
def penalized_logistic_regression(
    features: Float[Tensor, "samples features"],
    labels: Integer[Tensor, " samples"],
    *,
    classes: int,
    penalty: Penalty,
    inverse_strength: float,
    iterations: int = 5000,
    tolerance: float = 1e-5,
) -> tuple[Float[Tensor, "classes features"], Float[Tensor, " classes"]]:
    """Minimise inverse_strength x sum of cross-entropies + penalty(weights) over weights and an unpenalised bias.

    The penalty is sum |w| (l1) or 1/2 sum w^2 (l2), that of scikit-learn's multinomial `LogisticRegression`, whose
    arguments for it change from version to version, and whose solvers for l1 take few classes or many steps. With two
    classes, l1 is the same as a single row of weights would have, and l2 that of twice the strength.

    Accelerated proximal gradients (Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", 2009) with
    momentum dropped where it points uphill (O'Donoghue and Candès, "Adaptive Restart for Accelerated Gradient Schemes",
    2015). Of a class without a sample, the bias falls as far as the iterations reach.

    Args:
        features: best standardised: the number of iterations grows with the spread of their scales.
        labels: the class of each sample, from 0 to classes - 1.
        classes: their number.
        penalty: of the weights.
        inverse_strength: of the penalty; above 0.
        iterations: at most so many.
        tolerance: largest entry of the gradient (of the mean loss, generalised to the penalty) at which to stop.

    Returns:
        Weights and bias, in float64, on the features' device.

    Raises:
        TypeError: features are not floating-point, or labels not integers.
        ValueError: an option is out of its range, there are no samples, or not one label a sample.
    """
    if penalty not in ("l1", "l2"):
        raise ValueError(f"penalty must be l1 or l2, got {penalty!r}")
    if not inverse_strength > 0:
        raise ValueError(f"inverse_strength must be above 0, got {inverse_strength}")
    check_floating("features", features)
    if len(features) == 0:
        raise ValueError("logistic regression needs samples, got none")
    labels = check_labels(labels, rows=len(features), count=classes)
    ones = features.new_ones(len(features), 1, dtype=torch.float64)
    rows = torch.cat([features.double(), ones], 1)
    targets = torch.nn.functional.one_hot(labels, classes).double()
    strength = 1 / (inverse_strength * len(rows))
    # The curvature of cross-entropy is at most 1/2 along any direction of the logits.
    step = 2 * len(rows) / float(torch.linalg.matrix_norm(rows, 2)) ** 2

    now = ahead = rows.new_zeros(classes, rows.shape[1])
    momentum = 1.0
    for _ in range(iterations):
        gradient = (torch.softmax(rows @ ahead.T, 1) - targets).T @ rows / len(rows)
        after = ahead - step * gradient
        weights = after[:, :-1]  # a view: the bias is not shrunk
        if penalty == "l1":
            weights.copy_(weights.sign() * (weights.abs() - step * strength).clamp_min(0))
        else:
            weights.div_(1 + step * strength)
        moved = ahead - after
        if float(moved.abs().max()) <= tolerance * step:
            now = after
            break
        if float((moved * (after - now)).sum()) > 0:
            momentum = 1.0
        faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = after + (momentum - 1) / faster * (after - now)
        now, momentum = after, faster
    return now[:, :-1], now[:, -1]
