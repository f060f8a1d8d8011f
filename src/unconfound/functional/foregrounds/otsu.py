"""Otsu's threshold, for every row of a batch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def otsu_thresholds(
    values: Float[Tensor, "batch values"], *, counted: Bool[Tensor, "batch values"] | None = None, bins: int = 64
) -> Float[Tensor, " batch"]:
    """Return the threshold of each row that divides it into two classes of the largest variance between them.

    Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on Systems, Man, and Cybernetics
    1979, equation 18, on a histogram between the row's own least and greatest value. Of equal thresholds the lowest is
    returned.

    Args:
        values: finite.
        counted: which values of a row count, at least one; by default all.
        bins: of the histogram, at least 2; thresholds lie between them.

    Returns:
        Thresholds; the value itself where a row holds one value only, so that nothing exceeds it.
    """
    weights = torch.ones_like(values) if counted is None else counted.to(values.dtype)
    if counted is not None:
        # Those that do not count lie between the others.
        first = values.gather(1, counted.to(torch.uint8).argmax(1, keepdim=True))
        values = torch.where(counted, values, first)
    least, greatest = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    span = greatest - least
    levels = ((values - least) / torch.where(span > 0, span, 1) * bins).long().clamp_max(bins - 1)
    counts = values.new_zeros(len(values), bins).scatter_add_(1, levels, weights)
    below = counts.cumsum(1)[:, :-1]
    sums = (counts * torch.arange(bins, dtype=values.dtype, device=values.device)).cumsum(1)
    total, total_sum = weights.sum(1, keepdim=True), sums[:, -1:]
    shares = below / total
    between = (total_sum / total * shares - sums[:, :-1] / total).square() / (shares * (1 - shares)).clamp_min(1e-12)
    threshold = least + span * (between.argmax(1, keepdim=True) + 1) / bins
    return torch.where(span > 0, threshold, least).squeeze(1)
