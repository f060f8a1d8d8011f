"""The variational information bottleneck: how much a stochastic code tells of its input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_floating, wide_pair


def gaussian_kl(
    mean: Float[Tensor, "batch features"], deviation: Float[Tensor, "batch features"]
) -> Float[Tensor, " batch"]:
    """Compute KL(N(mean, deviation^2) || N(0, 1)) of each row, in nats, summed over its features.

    Alemi et al., "Deep Variational Information Bottleneck" (ICLR 2017), the second term of equation 17, which bounds
    the information of code and input: 1/2 sum_d (mean_d^2 + deviation_d^2 - 1 - log deviation_d^2).

    A deviation of 0, which has no density, counts as the smallest normal number of its type: the divergence stays
    finite (about 87 nats a feature in float32), with no gradient to that deviation. The sign of a deviation plays no
    part.

    Args:
        mean: of the code.
        deviation: the standard deviation of the code.

    Returns:
        [batch], 0 or above.

    Raises:
        TypeError: mean or deviation is not floating-point.
        ValueError: the shapes differ, or are not [batch, features].
    """
    check_floating("mean", mean)
    check_floating("deviation", deviation)
    if mean.dim() != 2 or mean.shape != deviation.shape:
        raise ValueError(
            "mean and deviation must both be [batch, features], "
            f"got shapes {tuple(mean.shape)} and {tuple(deviation.shape)}"
        )
    with torch.autocast(mean.device.type, enabled=False):
        mean, deviation = wide_pair(mean, deviation.abs())
        # Of the deviation, not of its square, which underflows at half the exponent.
        logarithm = deviation.clamp_min(torch.finfo(mean.dtype).tiny).log()
        total: Tensor = (0.5 * (mean.square() + deviation.square() - 1) - logarithm).sum(1)
        return total
