"""The best answers of each query, kept while an index is searched piece by piece."""

from __future__ import annotations

from threading import Lock

import numpy as np
from jaxtyping import Float32, Float64, Int
from numpy.typing import NDArray

# Products held at a time while similarities are computed.
_CHUNK_ELEMENTS = 2**21


class BestRows:
    """The nearest rows so far of each query: the most similar first, of equally similar ones the one that is first.

    A similarity (see `similarity`) depends on the two rows alone, not on what else is searched with them, so that
    pieces may come in any order and from any search that leaves nothing out.

    Args:
        queries: of length 1 (or 0).
        neighbours: how many each query keeps.

    Attributes:
        similarities: -inf where fewer rows were offered than are kept.
        positions: of the rows, in the order of the index.
    """

    def __init__(self, queries: Float32[np.ndarray, "queries features"], neighbours: int) -> None:
        self.queries = queries
        self.similarities = np.full((len(queries), neighbours), -np.inf)
        self.positions = np.full((len(queries), neighbours), np.iinfo(np.int64).max)
        self._lock = Lock()

    def offer(
        self,
        rows: Float32[np.ndarray, "rows features"],
        asked: Int[np.ndarray, " pairs"],
        found: Int[np.ndarray, " pairs"],
        *,
        start: int,
    ) -> None:
        """Take pairs of a query and a row that was not offered to it before; several threads may offer at a time.

        Args:
            rows: a piece of the index.
            asked: which query each pair has.
            found: which of `rows`.
            start: the position of the first of `rows`.
        """
        step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
        for first in range(0, len(asked), step):
            pairs = slice(first, first + step)
            alike = similarity(self.queries[asked[pairs]], rows[found[pairs]])
            with self._lock:
                self._merge(asked[pairs], alike, start + found[pairs])

    def _merge(self, asked: NDArray[np.intp], alike: NDArray[np.float64], positions: NDArray[np.intp]) -> None:
        last, far = self.similarities[asked, -1], self.positions[asked, -1]
        better = (alike > last) | ((alike == last) & (positions < far))
        asked, alike, positions = asked[better], alike[better], positions[better]
        touched, asked = np.unique(asked, return_inverse=True)
        kept = self.similarities.shape[1]
        query = np.concatenate([np.repeat(np.arange(len(touched)), kept), asked])
        alike = np.concatenate([self.similarities[touched].ravel(), alike])
        positions = np.concatenate([self.positions[touched].ravel(), positions])
        order = np.lexsort((positions, -alike, query))
        # Of each query the first ones: it has at least those that it had before.
        firsts = np.searchsorted(query[order], np.arange(len(touched)))
        chosen = order[firsts[:, None] + np.arange(kept)]
        # The positions first: a thread that reads a threshold meanwhile finds the old one or the new one.
        self.positions[touched], self.similarities[touched] = positions[chosen], alike[chosen]


def similarity(
    first: Float32[np.ndarray, "pairs features"], second: Float32[np.ndarray, "pairs features"]
) -> Float64[np.ndarray, " pairs"]:
    """Return the cosine similarity of each pair of rows of length 1: 1 - |q - g|^2 / 2, and 0 where either is 0.

    The inner product says less: the rounding of rows to float32 changes their lengths by up to 6e-8, in which a narrow
    cone's similarities differ no more. What is left of it in the difference is its square.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    apart = first - second
    alike: NDArray[np.float64] = 1 - np.einsum("ij,ij->i", apart, apart) / 2
    return np.where(first.any(axis=1) & second.any(axis=1), alike, 0.0)
