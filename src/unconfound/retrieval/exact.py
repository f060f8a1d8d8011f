"""Exhaustive search of memory-mapped rows, in tiles, within the memory of a few of these."""

from __future__ import annotations

from collections.abc import Sequence
from threading import local

import numpy as np
import torch
from jaxtyping import Float32, Int
from numpy.typing import NDArray
from torch import Tensor

from unconfound.functional.search import largest, spread
from unconfound.retrieval.best import Best

# Similarities held at a time by each thread: as many as fit into a cache.
_TILE_ELEMENTS = 2**20
_TILE_ROWS, _MOST_TILE_ROWS = 2**12, 2**16
_QUERIES = 256
# Rows of which only the largest similarity is looked at first.
_GROUP = 32
# With fewer queries than this, rounding the rows to bfloat16 takes longer than it spares.
_QUERIES_TO_ROUND_FOR = 64
# Where a larger share of the rows than this passes the first look in bfloat16, float32 is faster.
_SHARE = 1 / 256


def exact_search(
    queries: Float32[np.ndarray, "queries features"],
    shards: Sequence[Float32[np.ndarray, "_ features"]],
    *,
    neighbours: int,
) -> tuple[Float32[np.ndarray, "queries neighbours"], Int[np.ndarray, "queries neighbours"]]:
    """Find the nearest rows of each query by exhaustive search.

    A first look, by matrix products, passes over the rows that cannot be among the nearest: those whose similarity,
    with all that rounding may have taken from it, is below that of the last of the nearest so far. Where the
    processor multiplies bfloat16 matrices, the first look is in bfloat16. What passes is computed anew (see `Best`), so
    that the answers do not depend on the precision of the first look.

    Args:
        queries: of length 1 (or 0).
        shards: the rows to search, of length 1 (or 0), maybe memory-mapped; each is read once, in its order.
        neighbours: at most the number of all rows.

    Returns:
        The similarities in descending order and the positions of the rows, counted over all shards. Equally similar
        rows come in the order of their positions.
    """
    if len(queries) == 1:
        # torch multiplies a matrix by two columns faster than by one.
        similarities, positions = exact_search(queries.repeat(2, axis=0), shards, neighbours=neighbours)
        return similarities[:1], positions[:1]
    best = Best(queries, neighbours)
    look = _FirstLook(best, torch.from_numpy(queries))
    starts = np.cumsum([0, *(len(shard) for shard in shards)])
    tiles = [
        (shard[first : first + look.tile], int(start) + first)
        for shard, start in zip(shards, starts, strict=False)
        for first in range(0, len(shard), look.tile)
    ]
    spread(look, tiles, device=torch.device("cpu"), tile=_TILE_ROWS)
    return best.similarities, best.positions


class _FirstLook:
    """Finds the rows of a tile that may be among the nearest of a query, and offers them to `best`."""

    def __init__(self, best: Best, queries: Tensor) -> None:
        self.best, self.queries = best, queries
        self.neighbours = best.similarities.shape[1]
        self.chunk = min(len(queries), _QUERIES)
        self.tile = min(_MOST_TILE_ROWS, max(_TILE_ROWS, _TILE_ELEMENTS // self.chunk))
        self.group = _GROUP if self.chunk >= _GROUP else 1
        self.rounded = queries.bfloat16() if len(queries) >= _QUERIES_TO_ROUND_FOR and multiplies_bfloat16() else None
        self.held = local()

    def __call__(self, tile: tuple[NDArray[np.float32], int]) -> None:
        rows, queries = torch.from_numpy(tile[0]), self.rounded
        rounded = None if queries is None else rows.bfloat16()
        found, asked = [], []
        for first in range(0, len(self.queries), self.chunk):
            chunk = slice(first, first + self.chunk)
            passing = None
            if queries is not None and rounded is not None:
                passing = self._passing(queries[chunk], rounded, chunk)
                if len(passing[0]) > max(8 * self.neighbours, _SHARE * len(rows)) * self.chunk:
                    # Rows so alike that the first look cannot tell them apart are so in other tiles, too.
                    passing = rounded = self.rounded = None
            passed, by = passing or self._passing(self.queries[chunk], rows, chunk)
            found.append(passed)
            asked.append(first + by)
        self.best.offer(tile[0], torch.cat(asked).numpy(), torch.cat(found).numpy(), start=tile[1])

    def _passing(self, queries: Tensor, rows: Tensor, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the pairs that pass, as positions in `rows` and in `queries`."""
        groups = -(-len(rows) // self.group)
        scores = self._memory(queries.dtype)[: groups * self.group * len(queries)].view(-1, len(queries))
        torch.mm(rows, queries.T, out=scores[: len(rows)])
        scores[len(rows) :] = -torch.inf
        off = _rounding(queries)
        threshold = torch.from_numpy(self.best.similarities[chunk, -1]) - off
        if threshold.isinf().any() and len(rows) >= self.neighbours:
            # This tile alone has enough rows that are as near as its last one.
            last = largest(scores[: len(rows)].float().T.contiguous(), self.neighbours)[0][:, -1]
            threshold = threshold.maximum(last - 2 * off)
        if self.group == 1:
            found, asked = (scores >= threshold).nonzero(as_tuple=True)
            return found, asked
        grouped = scores.view(groups, self.group, len(queries))
        maxima = _maxima(grouped, above_zero=bool((threshold > 0).all()))
        group, asked = (maxima >= threshold).nonzero(as_tuple=True)
        pair, place = (grouped[group, :, asked] >= threshold[asked, None]).nonzero(as_tuple=True)
        found, asked = group[pair] * self.group + place, asked[pair]
        there = found < len(rows)  # all but what the last group was filled up with
        return found[there], asked[there]

    def _memory(self, dtype: torch.dtype) -> Tensor:
        """Return what this thread writes similarities to: memory is not asked for anew for every product."""
        held: Tensor | None = getattr(self.held, "scores", None)
        if held is None or held.dtype != dtype:
            held = self.held.scores = torch.empty((self.tile + self.group) * self.chunk, dtype=dtype)
        return held


def _maxima(grouped: Tensor, *, above_zero: bool) -> Tensor:
    """Return the largest value of each group, along dimension 1; where only values above zero matter, maybe another.

    The bits of numbers above zero, read as integers, have the order of the numbers, and those of all others are
    smaller. Of integers the largest is found several times faster than of bfloat16.
    """
    if not above_zero or grouped.dtype != torch.bfloat16:
        return grouped.amax(1)
    return grouped.view(torch.int16).amax(1).view(torch.bfloat16)


def _rounding(queries: Tensor) -> float:
    """Return by how much an inner product of rows of length 1, computed in this precision, may be off.

    Rounding changes either factor by at most the share u, and so the product by 2u + u^2 (Cauchy-Schwarz); the sum of
    float32 products by at most 2^-24 an addition; and a result in bfloat16 is rounded once more.
    """
    unit = 2.0**-8 if queries.dtype == torch.bfloat16 else 0.0
    return 1.01 * (3 * unit + unit**2 + (queries.shape[1] + 4) * 2.0**-24)


def multiplies_bfloat16() -> bool:
    """Say whether this processor has instructions for products of bfloat16 matrices."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
