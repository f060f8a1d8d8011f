"""Who searches: ours or faiss."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int

from unconfound.retrieval.nearest_rows.exact import exact_search
from unconfound.retrieval.nearest_rows.faiss_search import faiss_search
from unconfound.retrieval.nearest_rows.quick_similarities import multiplies_bfloat16

# From here on faiss is the faster one, where there is no bfloat16.
_QUERIES, _ROWS = 1000, 10_000


def nearest_rows(
    queries: Float32[np.ndarray, "queries features"],
    shards: Sequence[Float32[np.ndarray, "_ features"]],
    *,
    neighbours: int,
    backend: Literal["auto", "exact", "faiss"],
) -> tuple[Float64[np.ndarray, "queries neighbours"], Int[np.ndarray, "queries neighbours"], str]:
    """Find the nearest rows of each query by a backend.

    On processors that multiply bfloat16 matrices, `exact_search` is the faster one at any size. On others faiss is, for
    1,000 queries and more of 10,000 rows and more, so that "auto" takes it there, where it is installed.

    Returns:
        What `exact_search` returns, and the name of the backend.

    Raises:
        ValueError: the backend is unknown.
        ImportError: it is not installed.
    """
    if backend not in ("auto", "exact", "faiss"):
        raise ValueError(f"backend must be auto, exact or faiss, got {backend!r}")
    if backend == "auto":
        many = len(queries) >= _QUERIES and sum(map(len, shards)) >= _ROWS
        backend = "faiss" if many and not multiplies_bfloat16() and find_spec("faiss") else "exact"
    find = faiss_search if backend == "faiss" else exact_search
    return *find(queries, shards, neighbours=neighbours), backend
