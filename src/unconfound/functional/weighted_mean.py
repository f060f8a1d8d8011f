"""Means over the samples of each environment, to which a sample belongs by a weight."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_floating


def weighted_mean(
    values: Float[Tensor, "batch *columns"],
    weights: Float[Tensor, "batch *environments"] | None,
) -> Float[Tensor, "..."]:
    """Compute sum_i w_i v_i / sum_i w_i in each environment.

    Args:
        values: v, of each sample.
        weights: w, 0 or above: [batch, environments], or [batch] for one environment; None for equal ones.

    Returns:
        [*columns], or [environments, *columns] for weights [batch, environments]; 0 for an environment in which nothing
        has weight.

    Raises:
        TypeError: weights are not floating-point.
        ValueError: there is not one row of weights a sample.
    """
    if weights is None:
        weights = values.new_ones(len(values))
    check_floating("weights", weights)
    if weights.dim() not in (1, 2) or len(weights) != len(values):
        raise ValueError(
            f"weights must be [{len(values)}] or [{len(values)}, environments], got shape {tuple(weights.shape)}"
        )
    dtype = torch.promote_types(values.dtype, weights.dtype)
    by_environment, values = weights.to(dtype).movedim(0, -1), values.to(dtype)
    sums = (by_environment @ values.reshape(len(values), -1)).reshape((*weights.shape[1:], *values.shape[1:]))
    sizes = by_environment.sum(-1)
    sizes = torch.where(sizes == 0, 1, sizes)
    mean: Tensor = sums / sizes.reshape((*sizes.shape, *[1] * (values.dim() - 1)))
    return mean
