"""How well a division of samples agrees with another: normalised mutual information."""

from __future__ import annotations

import torch
from jaxtyping import Integer
from torch import Tensor

from unconfound.functional.labels import whole_numbers


def normalized_mutual_information(first: Integer[Tensor, " samples"], second: Integer[Tensor, " samples"]) -> float:
    """Return 2 I(a; b) / (H(a) + H(b)) of two divisions of the same samples, in [0, 1].

    As metric learning has it: Manning, Raghavan and Schuetze, "Introduction to Information Retrieval" (2008), section
    16.3. Names of parts mean nothing. Two divisions with one part each say the same: 1.

    Raises:
        TypeError: they are not integers.
        ValueError: there are no samples, or the divisions are of different numbers of samples.
    """
    first, second = whole_numbers("first", first), whole_numbers("second", second)
    if first.shape != second.shape or first.numel() == 0:
        raise ValueError(
            f"two divisions must be of the same samples, one at least, got {first.numel()} and {second.numel()}"
        )
    rows, columns = (each.unique(return_inverse=True)[1] for each in (first, second))
    wide = int(columns.max()) + 1
    joint = torch.bincount(rows * wide + columns, minlength=(int(rows.max()) + 1) * wide).view(-1, wide).double()
    joint /= joint.sum()
    of_first, of_second, together = (_entropy(each) for each in (joint.sum(1), joint.sum(0), joint.flatten()))
    if of_first + of_second == 0:
        return 1.0
    return min(1.0, max(0.0, 2 * (of_first + of_second - together) / (of_first + of_second)))


def _entropy(shares: Tensor) -> float:
    return float(-torch.xlogy(shares, shares).sum())
