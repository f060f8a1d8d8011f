"""Similarities that are quick to compute, and by how much they may be off."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float, Float32
from torch import Tensor

# The largest relative error of rounding to a type.
_ERRORS = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-8}
_FLOAT32 = _ERRORS[torch.float32]


class Look(Protocol):
    """Turns rows into a matrix whose products with `queries` are similarities, up to a constant a query and rounding.

    Similarities are those of `unconfound.retrieval.nearest_rows.best_rows.similarity`.

    Attributes:
        queries: [queries, columns].
        shift: [queries] what is missing from the products to be similarities, in float64.
    """

    queries: Tensor
    shift: Tensor

    def of(self, rows: Float32[Tensor, "rows features"]) -> tuple[Tensor, Float32[Tensor, " queries"]]:
        """Return [rows, columns] to multiply with the queries, and by how much a product may be off, for each query."""


class Whole:
    """The rows as they are: nothing is computed for a tile, which counts where queries are few.

    Args:
        queries: of length at most 1, as rows must be.
    """

    def __init__(self, queries: Float32[Tensor, "queries features"]) -> None:
        self.queries = queries
        self.shift = torch.zeros(len(queries), dtype=torch.float64)

    def of(
        self, rows: Float32[Tensor, "rows features"]
    ) -> tuple[Float32[Tensor, "rows features"], Float32[Tensor, " queries"]]:
        """Return the rows; `inner_product_error` says by how much their products are off."""
        return rows, torch.full((len(self.queries),), inner_product_error(rows.shape[1]))


class Centred:
    """The differences of rows from a centre, in float32 or bfloat16.

    With d = q - c and e = g - c, 1 - |q - g|^2 / 2 = d.e - |e|^2 / 2 + 1 - |d|^2 / 2. The embeddings of most encoders
    lie in a narrow cone, where d and e are short, and so is what rounding takes from them. Two more columns hold
    -|e|^2 / 2, as a rounded value and the rest of it, so that one matrix product gives all but the last two terms, a
    constant of the query. The similarity of a row of zeros is 0, which is 1/2 less than that.

    Args:
        queries: of length at most 1, as rows must be.
        centre: about the mean of the rows; any vector will do, but the nearer the better.
        dtype: float32 or bfloat16.
    """

    def __init__(
        self, queries: Float32[Tensor, "queries features"], centre: Float32[Tensor, " features"], dtype: torch.dtype
    ) -> None:
        self.centre, self.dtype = centre, dtype
        apart = queries - centre
        self.lengths = apart.norm(dim=1)
        self.queries = torch.cat([apart, apart.new_ones(len(queries), 2)], dim=1).to(dtype)
        self.shift = 1 - (queries.double() - centre.double()).square().sum(1) / 2 - (~queries.any(1)).double() / 2

    def of(
        self, rows: Float32[Tensor, "rows features"]
    ) -> tuple[Float[Tensor, "rows columns"], Float32[Tensor, " queries"]]:
        """Return the differences and what else makes similarities of them.

        Rounding changes either factor of d.e by at most the share u, and so the product by |d| |e| (2u + u^2), by
        Cauchy-Schwarz; the result is rounded once more; and a sum is off by at most 2^-24 an addition.
        """
        features = rows.shape[1]
        apart = rows - self.centre
        squares, zeros = apart.square().sum(1), ~rows.any(1)
        added = (squares + zeros) / -2
        matrix = apart.new_empty(len(rows), features + 2, dtype=self.dtype)
        matrix[:, :features] = apart
        matrix[:, features] = added
        matrix[:, features + 1] = added - matrix[:, features]
        length, farthest, error = float(squares.max().sqrt()), float(added.abs().max()), _ERRORS[self.dtype]
        product = self.lengths * length
        off = product * (2 * error + error**2) + (product + farthest) * error + farthest * error**2
        off += (features + 8) * _FLOAT32 * (product + farthest)
        if bool(zeros.any()):
            # Where the half is taken off, the length of the query counts as 1.
            off += (features + 8) * _FLOAT32
        # The last is the rounding of the similarity itself, in float64.
        return matrix, 1.01 * off + 1e-15


def inner_product_error(features: int) -> float:
    """Return by how much an inner product of rows of length 1 in float32 may be off the similarity of the rows.

    A sum is off by at most 2^-24 an addition, and so is the square of a length that was made 1.
    """
    return 1.01 * 2 * (features + 8) * _FLOAT32


def centre_of(shards: list[Tensor]) -> Float32[Tensor, " features"]:
    """Return the mean of some rows of each shard, evenly spaced."""
    some = [shard[:: max(1, len(shard) // 512)] for shard in shards]
    return torch.cat(some).mean(0)


def multiplies_bfloat16() -> bool:
    """Say whether this processor has instructions for products of bfloat16 matrices."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
