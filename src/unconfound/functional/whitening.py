"""W-MSE: views agree after whitening, which leaves no room for embeddings that are all alike."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_floating, check_paired, check_several, wide_dtype
from unconfound.functional.labels import whole_numbers
from unconfound.functional.similarity import normalize


def whiten(
    rows: Float[Tensor, "*sets rows features"], *, shrinkage: float = 0.0
) -> Float[Tensor, "*sets rows features"]:
    """Map each set of rows linearly to mean 0 and, without shrinkage, to the identity as its covariance.

    Ermolov et al., "Whitening for Self-Supervised Representation Learning" (ICML 2021), section 3: v -> W (v - mean)
    with W the inverse of the Cholesky factor L of the covariance S = L L^T, divided by rows - 1. Shrinkage, an option
    of the authors' code, takes (1 - shrinkage) S + shrinkage I in place of S.

    A map of the rows by a lower triangular matrix with a positive diagonal, and a shift, change nothing (without
    shrinkage). Computed in float64 where the device has it: the factors of nearly singular covariances need it, and
    equal rows of float32 or less become exactly 0.

    Args:
        rows: [..., rows, features]; at least two rows a set.
        shrinkage: from 0 to below 1. Above 0, rows that span less than all features are allowed.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: there are fewer than two rows, or no features; or, without shrinkage, rows do not span all features.
    """
    check_floating("rows", rows)
    if not 0 <= shrinkage < 1:
        raise ValueError(f"shrinkage must be from 0 to below 1, got {shrinkage}")
    if rows.dim() < 2 or rows.numel() == 0 or rows.shape[-2] < 2:
        raise ValueError(f"rows must be [..., at least two rows, features], got shape {tuple(rows.shape)}")
    count, features = rows.shape[-2:]
    if shrinkage == 0 and count <= features:
        raise ValueError(
            f"{count} rows span at most {count - 1} of {features} features, so their covariance cannot be inverted: "
            "whiten more rows at a time, take fewer features, or a shrinkage above 0"
        )
    dtype = wide_dtype(rows)
    with torch.autocast(rows.device.type, enabled=False):
        wide = rows.to(dtype if rows.device.type == "mps" else torch.float64)
        centred = wide - wide.mean(-2, keepdim=True)
        covariance = centred.mT @ centred / (count - 1)
        identity = torch.eye(features, dtype=wide.dtype, device=wide.device)
        factor, failed = torch.linalg.cholesky_ex((1 - shrinkage) * covariance + shrinkage * identity)
        if failed.any():
            if rows.isfinite().all():
                raise ValueError(
                    f"the {features} features of {count} rows depend on each other, so their covariance cannot be "
                    "inverted: the rows have collapsed, or need a shrinkage above 0"
                )
            return rows.to(dtype) * torch.nan
        whitened: Tensor = torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT.to(dtype)
        return whitened


def w_mse(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    *,
    size: int,
    orders: Integer[Tensor, "iterations batch"] | None = None,
    shrinkage: float = 0.0,
) -> Float[Tensor, ""]:
    """Compute the loss of W-MSE: the squared distance of the two views of a sample, whitened and then normalised.

    Ermolov et al. (ICML 2021), section 3, with the normalised distance: the mean of 2 - 2 cos(z_i, z'_i). The batch
    is cut into sub-batches; each is whitened on its own, and each view of it on its own, the same samples together in
    both. With several orders the batch is cut again in each, and the loss is the mean over them: more matrices, less
    noise. From 0 (views agree) to 4; 2 where all embeddings are equal and shrinkage is above 0 (without it, an error).

    Sub-batches have at least `size` rows and are as equal as can be; a smaller batch is one sub-batch. (The authors'
    code takes only multiples of the size.) For two views: the authors' four positives are not offered.

    Args:
        first: one view of each sample; any scale where shrinkage is 0.
        second: the other view, in the same order.
        size: rows whitened at a time, at least 2; the paper has twice the number of features.
        orders: permutations of the batch, each cut into sub-batches; None: the batch as it lies, once.
        shrinkage: as `whiten` has it.

    Raises:
        TypeError: embeddings are not floating-point, or orders not integers.
        ValueError: shapes differ, there are fewer than two rows, an option is out of its range, or a sub-batch cannot
            be whitened (see `whiten`).
    """
    check_paired(first=first, second=second)
    check_several(first, loss="w_mse")
    if size < 2:
        raise ValueError(f"size must be at least 2 rows, got {size}")
    batch, features = first.shape
    if orders is None:
        orders = torch.arange(batch, device=first.device)[None]
    orders = whole_numbers("orders", orders)
    if orders.dim() != 2 or orders.shape[1] != batch or not len(orders):
        raise ValueError(f"orders must be [iterations, {batch}], a permutation a row, got {tuple(orders.shape)}")
    count = max(1, batch // size)
    smaller, longer = divmod(batch, count)
    border = longer * (smaller + 1)
    with torch.autocast(first.device.type, enabled=False):
        views = torch.stack([first, second])
        similarity = torch.zeros((), dtype=wide_dtype(views), device=views.device)
        # All sub-batches of one length at once: there are two lengths at most.
        for part, rows in ((orders[:, :border], smaller + 1), (orders[:, border:], smaller)):
            if part.shape[1]:
                whitened = whiten(views[:, part.reshape(-1, rows)], shrinkage=shrinkage)
                one, other = normalize(whitened.reshape(-1, features)).chunk(2)
                similarity = similarity + (one * other).sum()
        return 2 - 2 * similarity / orders.numel()


def slicing_orders(
    batch: int, iterations: int, *, device: torch.device | None = None
) -> Int[Tensor, "iterations batch"]:
    """Return permutations of a batch that are always the same: no state, no random numbers of torch's generators.

    A training loop hands out samples in random order, so that a fixed permutation of a batch puts random samples
    together, other ones at every step; and samples that lie sorted are mixed all the same.
    """
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(batch, generator=generator) for _ in range(iterations)]
    return torch.stack(orders).to(device)
