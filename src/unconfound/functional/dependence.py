"""Dependence between random variables, measured by kernels, and the loss of SSL-HSIC made of it."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_at_least_0, check_floating, check_rows, wide_pair
from unconfound.functional.similarity import normalize

Kernel = Literal["multiquadric", "gaussian"]


def kernel_matrix(
    rows: Float[Tensor, "rows features"], *, kernel: Kernel = "multiquadric", scale: float = 1.0
) -> Float[Tensor, "rows rows"]:
    """Compare all rows, brought to unit length, with each other: 1 where they are equal, towards 0 where they are far.

    With d their distance and c the scale, c / sqrt(c^2 + d^2) for the inverse multiquadric kernel, exp(-d^2 / (2 c^2))
    for the Gaussian.

    Args:
        rows: any scale.
        kernel: "multiquadric" (the inverse one) or "gaussian".
        scale: above 0.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: there are no rows, or an option is out of its range.
    """
    if kernel not in get_args(Kernel):
        raise ValueError(f"kernel must be multiquadric or gaussian, got {kernel!r}")
    check_above_0(scale=scale)
    check_rows("rows", rows)
    with torch.autocast(rows.device.type, enabled=False):
        rows = normalize(rows)
        lengths = rows.square().sum(1)
        squares = lengths[:, None] + lengths - 2 * rows @ rows.T
        # Rounding leaves small numbers below 0. A clamp would take their derivatives too, and the second is not 0.
        squares = squares - squares.detach().clamp_max(0)
        if kernel == "gaussian":
            return torch.exp(squares / (-2 * scale**2))
        return torch.rsqrt(1 + squares / scale**2)


def hsic(
    first: Float[Tensor, "rows rows"], second: Float[Tensor, "rows rows"], *, unbiased: bool = True
) -> Float[Tensor, ""]:
    """Estimate the Hilbert-Schmidt independence criterion of two variables from the kernel matrices of their samples.

    Biased: tr(K H L H) / (n - 1)^2 with H = I - 1/n, which is never negative. Gretton et al., "Measuring Statistical
    Dependence with Hilbert-Schmidt Norms" (ALT 2005), equation 9.

    Unbiased: [tr(K' L') + (sum K')(sum L') / ((n - 1)(n - 2)) - 2 (sum K' L') / (n - 2)] / (n (n - 3)), K' and L' being
    K and L with zeros on the diagonal and a sum going over all entries. Song et al., "Feature Selection via Dependence
    Maximization" (JMLR 2012), HSIC_1. We compute it as the inner product of both matrices centred without their
    diagonals, which is equal (Szekely and Rizzo, "Partial Distance Correlation", Annals of Statistics 2014), cancels
    less, and shows that it is not negative either where both are the same. It takes rows that are drawn independently.

    Args:
        first: K, symmetric.
        second: L, symmetric, of the same samples in the same order.
        unbiased: which estimate.

    Raises:
        TypeError: the matrices are not floating-point.
        ValueError: they are not square or of unequal shapes, or there are fewer than 4 rows (2 for the biased one).
    """
    check_rows("first", first)
    check_rows("second", second)
    count = len(first)
    if first.shape != second.shape or first.shape[1] != count:
        raise ValueError(
            f"kernel matrices must be square and of equal shapes, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if count < (4 if unbiased else 2):
        raise ValueError(
            f"the {'un' if unbiased else ''}biased estimate takes {4 if unbiased else 2} rows, got {count}"
        )
    with torch.autocast(first.device.type, enabled=False):
        first, second = wide_pair(first, second)
        if unbiased:
            return (_centred_without_diagonal(first) * _centred_without_diagonal(second)).sum() / (count * (count - 3))
        return (_centred(first) * _centred(second)).sum() / (count - 1) ** 2


def ssl_hsic(
    views: Float[Tensor, "views batch features"],
    *,
    kernel: Kernel = "multiquadric",
    scale: float = 1.0,
    weight: float = 3.0,
    unbiased: bool = False,
) -> Float[Tensor, ""]:
    """Compute the loss of SSL-HSIC: views are to tell their image, and little else.

    Li et al., "Self-Supervised Learning with Kernel Dependence Maximization" (NeurIPS 2021), section 3:
    -HSIC(Z, Y) + weight * sqrt(HSIC(Z, Z)), Z being the views and Y which image each is of. With k the kernel, B images
    and M views of each, and over all images i, j and views p, l, the paper estimates

        HSIC(Z, Y) = sum_ipl k(z_i^p, z_i^l) / (B M (M - 1)) - sum_ijpl k(z_i^p, z_j^l) / (B M)^2 - 1 / (M - 1)

    (up to a factor that it drops) and HSIC(Z, Z) by the biased estimate of `hsic`. `unbiased` takes, in place of the
    first, the mean of k over pairs of views of one image less that over pairs of different images, which is HSIC(Z, Y)
    for a large set of images; and for HSIC(Z, Z) the unbiased estimate of `hsic`.

    The paper approximates k by random Fourier features, in time linear in the batch. We compute k itself, which draws
    no random numbers and adds no noise: it takes (B M)^2 numbers, little beside an encoder up to some 10,000 rows. The
    paper learns the scale of the kernel by a loss of its own; here it is given.

    Where all embeddings are equal, loss and gradient are 0: nothing is learnt from there. It is no minimum: views that
    tell their image in many dimensions have a loss below 0.

    Args:
        views: of each image, in the same order; any scale.
        kernel, scale: as `kernel_matrix` has them.
        weight: of the second term, 0 or above.
        unbiased: which estimates.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: there are fewer than two views or images, or an option is out of its range.
    """
    check_at_least_0(weight=weight)
    check_floating("views", views)
    if views.dim() != 3 or min(views.shape[:2]) < 2:
        raise ValueError(f"views must be [views, batch, features] with two or more of both, got {tuple(views.shape)}")
    count, batch = views.shape[:2]
    rows = count * batch
    with torch.autocast(views.device.type, enabled=False):
        matrix = kernel_matrix(views.flatten(0, 1), kernel=kernel, scale=scale)
        same = matrix.view(count, batch, count, batch).diagonal(dim1=1, dim2=3).sum()
        pairs = rows * (count - 1)
        if unbiased:
            dependence = (same - rows) / pairs - (matrix.sum() - same) / (rows * (rows - count))
        else:
            dependence = same / pairs - matrix.mean() - 1 / (count - 1)
        variance = hsic(matrix, matrix, unbiased=unbiased)
        # The derivative of a root is infinite at 0.
        positive = variance > torch.finfo(variance.dtype).tiny
        deviation = torch.where(positive, torch.where(positive, variance, 1).sqrt(), 0 * variance)
        return weight * deviation - dependence


def _centred(matrix: Tensor) -> Tensor:
    """H K H."""
    return matrix - matrix.mean(0) - matrix.mean(1, keepdim=True) + matrix.mean()


def _centred_without_diagonal(matrix: Tensor) -> Tensor:
    """K with zeros on the diagonal, brought to sums of 0 over the other entries of each row and column."""
    count = len(matrix)
    own = torch.eye(count, dtype=torch.bool, device=matrix.device)
    matrix = matrix.masked_fill(own, 0)
    rows, columns = matrix.sum(1, keepdim=True) / (count - 2), matrix.sum(0) / (count - 2)
    return (matrix - rows - columns + matrix.sum() / ((count - 1) * (count - 2))).masked_fill(own, 0)
