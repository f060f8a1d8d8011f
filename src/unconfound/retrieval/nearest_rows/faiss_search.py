"""Exhaustive search by faiss, for those who have it and where it is the faster one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int

from unconfound.extras import require
from unconfound.retrieval.nearest_rows.best_rows import BestRows
from unconfound.retrieval.nearest_rows.exact import exact_search
from unconfound.retrieval.nearest_rows.quick_similarities import inner_product_error

# Rows asked for beyond those wanted: among them are those that only rounding has put behind the last.
_SPARE = 16


def faiss_search(
    queries: Float32[np.ndarray, "queries features"],
    shards: Sequence[Float32[np.ndarray, "_ features"]],
    *,
    neighbours: int,
) -> tuple[Float64[np.ndarray, "queries neighbours"], Int[np.ndarray, "queries neighbours"]]:
    """Find the nearest rows of each query by faiss's exhaustive search of inner products, shard by shard.

    Nothing is copied: a flat index would hold all rows in memory. Similarities are computed anew as `exact_search`
    does, and equally similar rows come in the order of their positions. Queries for which rows that faiss left out may
    be as near as the last one found, for all that rounding may have taken from them, are searched by `exact_search`.

    Args:
        queries: of length 1 (or 0).
        shards: the rows to search, of length 1 (or 0), maybe memory-mapped.
        neighbours: at most the number of all rows.

    Returns:
        The similarities in descending order and the positions of the rows, counted over all shards.

    Raises:
        ImportError: faiss is not installed.
    """
    faiss = require("faiss", extra="search")
    best, start = BestRows(queries, neighbours), 0
    left_out, off = np.full(len(queries), -np.inf), inner_product_error(queries.shape[1])
    for shard in shards:
        wanted = min(neighbours + _SPARE, len(shard))
        products, found = faiss.knn(queries, shard, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        asked = np.repeat(np.arange(len(queries)), wanted)
        best.offer(shard, asked, found.ravel(), start=start)
        start += len(shard)
        if wanted < len(shard):
            left_out = np.maximum(left_out, products[:, -1] + off)
    doubtful = left_out >= best.similarities[:, -1]
    if doubtful.any():
        best.similarities[doubtful], best.positions[doubtful] = exact_search(
            queries[doubtful], shards, neighbours=neighbours
        )
    return best.similarities, best.positions
