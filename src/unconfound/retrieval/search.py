"""Find the items of an index that are nearest to queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float, Float32, Int
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from unconfound.data.core.subset import Subset
from unconfound.evaluation.embed import embed
from unconfound.functional.inputs import check_finite
from unconfound.options.embedding import EmbeddingOptions, ReadingOptions
from unconfound.retrieval.hits import Hits
from unconfound.retrieval.index import Index
from unconfound.retrieval.nearest_rows.backends import nearest_rows
from unconfound.retrieval.queries import Asked, read_queries
from unconfound.retrieval.scores import relevant_items
from unconfound.retrieval.update import unit_rows

# Differences held at a time while distances are computed.
_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, eq=False)
class EmbeddedQueries:
    """Queries as an index is searched by them.

    Args:
        features: their embeddings, by the encoder of the index.
        names: of each query.
        labels: the name of each query's class, None where it is not known.
        asked: their samples; empty where embeddings were given.
    """

    features: Float[Tensor, "queries features"]
    names: Sequence[str]
    labels: Sequence[str | None]
    asked: Sequence[Asked] = ()


def given_queries(features: Float[Tensor, "queries features"], index: Index) -> EmbeddedQueries:
    """Take embeddings as queries.

    Raises:
        ValueError: they have another width than those of the index, or are not finite.
    """
    check_finite("queries", features)
    if features.shape[1] != index.manifest.features:
        raise ValueError(
            f"queries have {features.shape[1]} features, {index.folder} holds embeddings of {index.manifest.features}: "
            "embed them by the index's own encoder"
        )
    rows = len(features)
    return EmbeddedQueries(features, [f"query {row}" for row in range(rows)], [None] * rows)


def embedded_queries(
    words: Sequence[str],
    index: Index,
    embedding: EmbeddingOptions,
    reading: ReadingOptions,
    *,
    data_root: Path | None,
    progress: Progress | None,
) -> EmbeddedQueries:
    """Read what a user asks with, and embed it by the encoder of the index.

    Raises:
        FileNotFoundError, ValueError: as `read_queries`; or the encoder is damaged, or an embedding is not finite.
    """
    read = read_queries(words, index.card, data_root=data_root, reading=reading)
    asked = [replace(each, labels=_by_folder(each, index)) for each in read]
    encoder = index.load_encoder()
    parts = [
        embed(encoder, Subset(each.source, each.positions), progress=progress, **asdict(embedding)).features
        for each in asked
    ]
    names = [name for each in asked for name in each.names]
    labels = [label for each in asked for label in each.labels]
    return EmbeddedQueries(torch.cat(parts), names, labels, asked)


def find_hits(
    queries: EmbeddedQueries, index: Index, *, neighbours: int, backend: Literal["auto", "exact", "faiss"]
) -> Hits:
    """Find the items nearest to each query, but for those that are queries themselves, by their names."""
    rows = unit_rows(queries.features.detach().cpu())
    own = _own_positions(queries.names if queries.asked else [], index)
    wanted = min(len(index), neighbours + bool(own))
    similarities, positions, used = nearest_rows(rows, index.shards, neighbours=wanted, backend=backend)
    similarities, positions = _without(own, similarities, positions, neighbours)
    return Hits(
        index,
        queries.names,
        queries.labels,
        np.where(positions < 0, np.nan, similarities.clip(-1, 1)).astype(np.float32),
        _distances(rows, index, positions),
        positions,
        queries.asked,
        used,
        len(own),
        relevant_items(queries.labels, index, own),
    )


def _by_folder(asked: Asked, index: Index) -> list[str | None]:
    """Name the class of an image file without one by its folder, where the index knows that class."""
    if asked.source.names is None:
        return list(asked.labels)
    folders = [Path(name).parent.name for name in asked.names]
    return [
        folder if label is None and folder in index.classes else label
        for label, folder in zip(asked.labels, folders, strict=True)
    ]


def _own_positions(names: Sequence[str], index: Index) -> dict[int, int]:
    """Return where each query that is an item stands in the index, by the query's row."""
    there = pc.is_in(index.items["name"], value_set=pa.array(names, pa.string())).to_numpy().nonzero()[0]
    position = dict(zip(index.items["name"].take(there).to_pylist(), there.tolist(), strict=True))
    return {row: position[name] for row, name in enumerate(names) if name in position}


def _without(
    own: dict[int, int], similarities: NDArray[np.float64], positions: NDArray[np.int64], neighbours: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Leave a query's own item out of its neighbours; a place that stays empty has the position -1."""
    if not own:
        return similarities, positions
    sought = np.full(len(positions), -1)
    sought[list(own)] = list(own.values())
    is_own = positions == sought[:, None]
    order = is_own.argsort(axis=1, kind="stable")  # the own item goes last
    positions = np.take_along_axis(np.where(is_own, -1, positions), order, axis=1)
    return np.take_along_axis(similarities, order, axis=1)[:, :neighbours], positions[:, :neighbours]


def _distances(
    rows: Float32[np.ndarray, "queries features"], index: Index, positions: Int[np.ndarray, "queries neighbours"]
) -> NDArray[np.float64]:
    """Return the distances of what was found, from the differences: of a copy it is 0."""
    distances = np.full(positions.shape, np.nan)
    query, rank = np.nonzero(positions >= 0)
    step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for first in range(0, len(query), step):
        pairs = query[first : first + step], rank[first : first + step]
        found = index.rows(positions[pairs]).astype(np.float64)
        distances[pairs] = np.linalg.norm(rows[pairs[0]] - found, axis=1)
    return distances
