"""Barlow Twins and VICReg: without negatives, views agree, and features neither vanish nor repeat each other."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_at_least_0, check_paired, check_several, wide


def barlow_twins(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    *,
    off_diagonal_weight: float = 0.0051,
    epsilon: float = 1e-5,
) -> Float[Tensor, ""]:
    """Compute the loss of Barlow Twins: the features' cross-correlation over two views is to be the identity.

    Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction" (ICML 2021), equations 1 and 2:
    with C_ij the correlation over the batch of feature i of the one view and feature j of the other,
    sum_i (1 - C_ii)^2 + w sum_i sum_{j != i} C_ij^2.

    Equation 2 divides by deviations that can be 0. Like the BatchNorm of the authors' code we add `epsilon` to each
    variance, so that a feature without variance has the correlation 0 to everything. Embeddings that are all equal
    have the loss `features`, and the gradient 0.

    Args:
        first: one view of each sample; any scale well above sqrt(epsilon).
        second: the other view, in the same order.
        off_diagonal_weight: w, 0 or above.
        epsilon: added to each variance, 0 or above.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are fewer than two rows, or an option is out of its range.
    """
    check_at_least_0(off_diagonal_weight=off_diagonal_weight, epsilon=epsilon)
    check_paired(first=first, second=second)
    check_several(first, loss="barlow_twins")
    with torch.autocast(first.device.type, enabled=False):
        left, right = (_standardize(rows, epsilon) for rows in (first, second))
        diagonal = (left * right).mean(0)
        repetition = off_diagonal_squares(left, right) / len(left) ** 2
        return (1 - diagonal).square().sum() + off_diagonal_weight * repetition


class VICRegTerms(NamedTuple):
    """The loss of VICReg and its three terms, not yet weighted."""

    loss: Float[Tensor, ""]
    invariance: Float[Tensor, ""]
    variance: Float[Tensor, ""]
    covariance: Float[Tensor, ""]


def vicreg(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    epsilon: float = 1e-4,
) -> VICRegTerms:
    """Compute the loss of VICReg: views agree, each feature varies, and no two features vary together.

    Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning" (ICLR 2022),
    equations 1 to 6, for n rows of d features:

    - invariance: the mean over samples and features of the squared difference of the two views;
    - variance: the mean over features, and over the two views, of max(0, 1 - sqrt(variance + epsilon));
    - covariance: the sum over i != j of the squared covariances of features i and j, over d; of both views, added.

    Variances and covariances divide by n - 1. The weights' defaults are the paper's, and belong to the terms of the
    authors' code, which are these. The paper prints two of them otherwise: equation 5 has no division by d, and
    equation 6 adds the views' variance terms; `invariance=25 * d, variance=50` gives that form.

    Embeddings that are all equal have the loss `variance` times 1 - sqrt(epsilon), 24.75, and the gradient 0.

    Args:
        first: one view of each sample. The scale matters: deviations are driven to 1.
        second: the other view, in the same order.
        invariance, variance, covariance: weights of the terms, 0 or above.
        epsilon: added to each variance, above 0: it keeps the gradient of the deviation finite.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are fewer than two rows, or an option is out of its range.
    """
    check_at_least_0(invariance=invariance, variance=variance, covariance=covariance, epsilon=epsilon)
    if epsilon == 0:
        raise ValueError("epsilon must be above 0, got 0: the deviation of a constant feature has no gradient")
    check_paired(first=first, second=second)
    check_several(first, loss="vicreg")
    with torch.autocast(first.device.type, enabled=False):
        first, second = wide(first), wide(second)
        agreement = (first - second).square().mean()
        spread, repetition = first.new_zeros(()), first.new_zeros(())
        for rows in (first, second):
            centred = (rows - rows.mean(0)) / math.sqrt(len(rows) - 1)
            deviation = (centred.square().sum(0) + epsilon).sqrt()
            spread = spread + (1 - deviation).relu().mean() / 2
            repetition = repetition + off_diagonal_squares(centred, centred) / rows.shape[1]
        loss = invariance * agreement + variance * spread + covariance * repetition
        return VICRegTerms(loss, agreement, spread, repetition)


def off_diagonal_squares(
    left: Float[Tensor, "batch features"], right: Float[Tensor, "batch features"]
) -> Float[Tensor, ""]:
    """Sum the squares of left^T right off its diagonal.

    Where features outnumber rows by far, the sum of all squares is taken from the two matrices of rows, whose size is
    [batch, batch]: |left^T right|^2 = <left left^T, right right^T>. What is then subtracted for the diagonal is small:
    a matrix of rank r has at least (its trace)^2 / r as its sum of squares.
    """
    batch, features = left.shape
    if features > 2 * batch:
        every = ((left @ left.T) * (right @ right.T)).sum()
        return every - (left * right).sum(0).square().sum()
    return torch.diagonal_scatter(left.T @ right, left.new_zeros(features)).square().sum()


def _standardize(rows: Tensor, epsilon: float) -> Tensor:
    """Return columns of mean 0 whose mean products are correlations."""
    rows = wide(rows)
    # Centred first: where means are far from 0, batch_norm, which multiplies before it subtracts, loses digits. Not
    # torch.nn.functional's, which refuses an epsilon of 0. No statistics are kept, and no cuDNN is asked.
    return torch.batch_norm(rows - rows.mean(0), None, None, None, None, True, 0.0, epsilon, False)
