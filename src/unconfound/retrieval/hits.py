"""What a search found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float32, Float64, Int, Int8

from unconfound.files import atomic
from unconfound.retrieval.index import Index
from unconfound.retrieval.item_names import shown_name
from unconfound.retrieval.queries import Asked


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest items of each query, the nearest first.

    Args:
        index: where they were sought.
        names: of the queries.
        labels: the name of each query's class, None where it is not known.
        similarities: cosines, in [-1, 1]. NaN where an index holds fewer items than were asked for.
        distances: Euclidean, between embeddings of length 1, in [0, 2]. NaN likewise.
        positions: of the items in the index; -1 likewise.
        asked: the queries' samples, for pictures; empty where embeddings were given.
        backend: "exact" or "faiss".
        own: queries that are items of the index by their names, and were left out of their own neighbours.
        relevant: how many items of its class a query may find, 0 where its class is not known.
    """

    index: Index
    names: Sequence[str]
    labels: Sequence[str | None]
    similarities: Float32[np.ndarray, "queries neighbours"]
    distances: Float64[np.ndarray, "queries neighbours"]
    positions: Int[np.ndarray, "queries neighbours"]
    asked: Sequence[Asked]
    backend: str
    own: int
    relevant: Int[np.ndarray, " queries"]

    def __len__(self) -> int:
        return len(self.names)

    def hits(self) -> Int8[np.ndarray, "queries neighbours"]:
        """Say of each neighbour whether it is of its query's class: 1 or 0, and -1 where either has none."""
        items = self._items(self.positions)["label"].to_pylist()
        neighbours = self.positions.shape[1]
        asked = [label for label in self.labels for _ in range(neighbours)]
        hits = [-1 if a is None or b is None else int(a == b) for a, b in zip(asked, items, strict=True)]
        return np.array(hits, np.int8).reshape(self.positions.shape)

    def frame(self) -> pd.DataFrame:
        """Return one row a neighbour.

        The columns are query, rank (from 1), item (its name), label (of the item), similarity, distance and hit:
        whether query and item share their class, missing where either has none.
        """
        query, rank = np.nonzero(self.positions >= 0)
        items = self._items(self.positions[query, rank])
        hits = self.hits()[query, rank]
        return pd.DataFrame(
            {
                "query": [shown_name(self.names[row]) for row in query.tolist()],
                "rank": rank + 1,
                "item": [shown_name(name) for name in items["name"].to_pylist()],
                "label": pd.array(items["label"].to_pylist(), dtype="string"),
                "similarity": self.similarities[query, rank],
                "distance": self.distances[query, rank],
                "hit": pd.arrays.BooleanArray(hits == 1, hits < 0),
            }
        )

    def save(self, path: Path) -> None:
        """Write `frame` as Parquet, whole or not at all."""
        with atomic(path) as temporary:
            self.frame().to_parquet(temporary, index=False)

    def _items(self, positions: Int[np.ndarray, "..."]) -> pa.Table:
        """Return the items at some positions, one below the other; where there is none, nulls."""
        flat = positions.ravel()
        return self.index.items.take(pa.array(flat, mask=flat < 0))
