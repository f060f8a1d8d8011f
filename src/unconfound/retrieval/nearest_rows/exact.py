"""Exhaustive search of memory-mapped rows, in tiles, within the memory of a few of these."""

from __future__ import annotations

from collections.abc import Sequence
from threading import local

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from unconfound.functional.largest import largest, spread
from unconfound.retrieval.nearest_rows.best_rows import BestRows
from unconfound.retrieval.nearest_rows.quick_similarities import Centred, Look, Whole, centre_of, multiplies_bfloat16

# Similarities held at a time by each thread: as many as fit into a cache.
_TILE_ELEMENTS = 2**20
_TILE_ROWS, _MOST_TILE_ROWS = 2**12, 2**16
_QUERIES = 256
# Rows of which only the largest similarity is looked at first.
_GROUP = 32
# With fewer queries than this, what is computed for each tile takes longer than it spares.
_MANY_QUERIES = 64
# Where a larger share of the rows than this passes the first look in bfloat16, float32 is faster.
_SHARE = 1 / 256


def exact_search(
    queries: Float32[np.ndarray, "queries features"],
    shards: Sequence[Float32[np.ndarray, "_ features"]],
    *,
    neighbours: int,
) -> tuple[Float64[np.ndarray, "queries neighbours"], Int[np.ndarray, "queries neighbours"]]:
    """Find the nearest rows of each query by exhaustive search.

    A first look, by matrix products, passes over the rows that cannot be among the nearest: those whose similarity,
    with all that rounding may have taken from it, is below that of the last of the nearest so far. Where the
    processor multiplies bfloat16 matrices, the first look is in bfloat16. What passes is computed anew (see
    `BestRows`), so that the answers do not depend on the precision of the first look.

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
    best, asked = BestRows(queries, neighbours), torch.from_numpy(queries)
    looks: list[Look] = [Whole(asked)]
    if len(queries) >= _MANY_QUERIES:
        centre = centre_of([torch.from_numpy(shard) for shard in shards])
        types = [torch.bfloat16] * multiplies_bfloat16() + [torch.float32]
        looks = [Centred(asked, centre, dtype) for dtype in types]
    search = _TileSearch(best, looks)
    starts = np.cumsum([0, *(len(shard) for shard in shards)])
    tiles = [
        (shard[first : first + search.tile], int(start) + first)
        for shard, start in zip(shards, starts, strict=False)
        for first in range(0, len(shard), search.tile)
    ]
    spread(search, tiles, device=torch.device("cpu"), tile=_TILE_ROWS)
    return best.similarities, best.positions


class _TileSearch:
    """Finds the rows of a tile that may be among the nearest of a query, and offers them to `best`.

    Args:
        best: of all queries.
        looks: the quickest first; the last one is for rows that the others cannot tell apart.
    """

    def __init__(self, best: BestRows, looks: list[Look]) -> None:
        self.best, self.looks = best, looks
        queries, self.neighbours = best.similarities.shape
        self.chunks = [slice(first, first + _QUERIES) for first in range(0, queries, _QUERIES)]
        self.chunk = min(queries, _QUERIES)
        self.tile = min(_MOST_TILE_ROWS, max(_TILE_ROWS, _TILE_ELEMENTS // self.chunk))
        self.group = _GROUP if self.chunk >= _GROUP else 1
        self.held = local()

    def __call__(self, tile: tuple[NDArray[np.float32], int]) -> None:
        rows, start = torch.from_numpy(tile[0]), tile[1]
        look = self.looks[0]
        matrix, off = look.of(rows)
        found, asked = [], []
        for chunk in self.chunks:
            passing = self._passing(look, matrix, off[chunk], chunk)
            if look is not self.looks[-1] and len(passing[0]) > self._few(len(rows)):
                # Rows so alike are so in other tiles, too.
                self.looks = self.looks[-1:]
                look = self.looks[0]
                matrix, off = look.of(rows)
                passing = self._passing(look, matrix, off[chunk], chunk)
            found.append(passing[0])
            asked.append(chunk.start + passing[1])
        self.best.offer(tile[0], torch.cat(asked).numpy(), torch.cat(found).numpy(), start=start)

    def _few(self, rows: int) -> float:
        return max(8 * self.neighbours, _SHARE * rows) * self.chunk

    def _passing(self, look: Look, rows: Tensor, off: Tensor, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the pairs that pass, as positions in `rows` and in the chunk of queries."""
        queries = look.queries[chunk]
        groups = -(-len(rows) // self.group)
        scores = self._memory(queries.dtype)[: groups * self.group * len(queries)].view(-1, len(queries))
        torch.mm(rows, queries.T, out=scores[: len(rows)])
        scores[len(rows) :] = -torch.inf
        # In float64: what is left of near-equal numbers is small.
        threshold = (torch.from_numpy(self.best.similarities[chunk, -1]).double() - look.shift[chunk]).float() - off
        if threshold.isinf().any() and len(rows) >= self.neighbours:
            # This tile alone has enough rows that are as near as its last one.
            last = largest(scores[: len(rows)].float().T.contiguous(), self.neighbours)[0][:, -1]
            threshold = threshold.maximum(last - 2 * off)
        if self.group == 1:
            # Comparing with one number is several times faster than with one a column.
            found, asked = (scores >= threshold.min()).nonzero(as_tuple=True)
            passes = scores[found, asked] >= threshold[asked]
            return found[passes], asked[passes]
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
