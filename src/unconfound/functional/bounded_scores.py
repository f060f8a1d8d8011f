"""Scores of nearness by one matrix product, and by how much its rounding may have put them off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class BoundedScores:
    """Scores of queries and rows, d.e - |e|^2 / 2 with d and e their differences from a centre: the larger, the nearer.

    Args:
        queries: d, rounded.
        gallery: e, rounded.
        bias: -|e|^2 / 2, rounded.
        lengths: |d| of each query, in float64.
        farthest: the largest |e|.
    """

    queries: Float[Tensor, "queries features"]
    gallery: Float[Tensor, "gallery features"]
    bias: Float[Tensor, " gallery"]
    lengths: Float[Tensor, " queries"]
    farthest: float

    def scores(self, asked: Int[Tensor, " asked"]) -> Float[Tensor, "asked gallery"]:
        """Return the scores of some queries, a matrix product."""
        # What surrounds the call may want products in half precision.
        with torch.autocast(self.bias.device.type, enabled=False):
            return torch.addmm(self.bias, self.queries[asked], self.gallery.T)

    def off(self, asked: Int[Tensor, " asked"], last: Float[Tensor, " asked"]) -> Float[Tensor, " asked"]:
        """Return by how much scores of each query may be off: of all rows that may be as near as the last one wanted.

        Let u be the rounding of the type, n the number of features and g = (n + 4) u / (1 - (n + 4) u). Rounding d and
        e, the products, their sum and the bias changes a score by at most g (|d| |e| + |e|^2 / 2), in whatever order it
        is added up (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). The distance that it
        stands for is itself rounded in float64, to a share of (|d| + |e|)^2.

        Rows with |e| >= 4 |d| score at most -4 |d|^2, or 3 g |e|^2 / 4 more by rounding. Where the last one wanted
        scores more, none of these can be among the nearest, so that rows far from all do not make the others uncertain.

        Args:
            asked: positions of queries.
            last: the score of the last one wanted.
        """
        lengths = self.lengths[asked]
        share = _rounding(self.bias.dtype, self.queries.shape[1])
        near = self._off((4 * lengths).clamp_max(self.farthest), lengths, share)
        excludes = last - 2 * near > -4 * (1 - 4 * share) * lengths.square()
        return torch.where(excludes, near, self._off(lengths.new_tensor(self.farthest), lengths, share))

    def _off(self, reach: Tensor, lengths: Tensor, share: float) -> Tensor:
        rounded = share * (lengths * reach + reach.square() / 2)
        exact = _rounding(torch.float64, self.queries.shape[1]) * (lengths + reach).square()
        # Products too small for the type count as 0; the largest number is about 1.
        vanished = 2**30 * self.queries.shape[1] * torch.finfo(self.bias.dtype).tiny
        return 1.01 * (rounded + exact) + vanished


def _rounding(dtype: torch.dtype, features: int) -> float:
    """Return the largest relative error of a sum of so many products; infinite where there is no bound."""
    share = (features + 4) * torch.finfo(dtype).eps / 2
    return share / (1 - share) if share < 0.5 else math.inf
