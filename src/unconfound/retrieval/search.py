"""Find the nearest items of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from unconfound.devices import choose_device, choose_precision
from unconfound.evaluation.embed import embed
from unconfound.functional.inputs import check_finite
from unconfound.retrieval.additions import unit_rows
from unconfound.retrieval.backends import nearest_rows
from unconfound.retrieval.hits import Hits
from unconfound.retrieval.opened import Index, open_index
from unconfound.retrieval.queries import Asked, read_queries
from unconfound.retrieval.scores import relevant_items

# Differences held at a time while distances are computed.
_CHUNK_ELEMENTS = 2**22


def search(
    index: Index | Path | str,
    queries: str | Path | Sequence[str | Path] | Float[Tensor, "queries features"],
    *,
    neighbours: int = 10,
    backend: Literal["auto", "exact", "faiss"] = "auto",
    data_root: Path | None = None,
    batch_size: int = 512,
    device: str | torch.device = "auto",
    precision: str = "32",
    progress: Progress | None = None,
) -> Hits:
    """Find the items of an index that are nearest to each query, by the cosine of their embeddings.

    The search is exhaustive: nothing near is missed. Equally near items come in the order in which they were added. A
    query that is itself an item of the index, by its name, is left out of its own neighbours; copies of it under
    other names are not.

    Args:
        index: open, or its folder.
        queries: an image file, a folder, a table or other data as the encoder was trained on, or one sample of these as
            DATA:ROW ("table.csv:12", rows count from 0); or several of them; or embeddings by the index's own encoder.
            The class of an image file is the name of its folder where items of the index have that class.
        neighbours: of each query; fewer where the index is smaller.
        backend: who searches. "exact" is ours; "faiss" needs the extra `search`; "auto" takes the faster one. Their
            answers are the same.
        data_root: where the files of named data lie.
        batch_size: queries embedded at a time.
        device: "auto" (the best one here), "cpu", "cuda", "cuda:N" or "mps": where the encoder runs.
        precision: of the encoder: "32", "bf16", "16", or "auto" (bf16 where the hardware gains from it).
        progress: where a bar is shown.

    Raises:
        FileNotFoundError: no index or query is there.
        ValueError: the index is empty or damaged, a query cannot be read or is of another kind than the index holds,
            embeddings have another width or are not finite, or `neighbours` is below 1.
        ImportError: `backend` is "faiss", and it is not installed.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    device = choose_device(device)
    precision = choose_precision(precision, device)
    index = index if isinstance(index, Index) else open_index(index)
    if len(index) == 0:
        raise ValueError(f"{index.folder} is empty: add items by unconfound index RUN DATA --out {index.folder} --add")
    asked: list[Asked] = []
    if isinstance(queries, Tensor):
        features = _checked(queries, index)
        names: list[str] = [f"query {row}" for row in range(len(queries))]
        labels: list[str | None] = [None] * len(queries)
    else:
        words = [queries] if isinstance(queries, str | Path) else queries
        read = read_queries([str(word) for word in words], index.card, data_root=data_root)
        asked = [replace(each, labels=_by_folder(each, index)) for each in read]
        encoder = index.load_encoder()
        parts = [
            embed(
                encoder,
                Subset(each.source, each.positions),
                batch_size=batch_size,
                device=device,
                precision=precision,
                progress=progress,
            ).features
            for each in asked
        ]
        features = torch.cat(parts)
        names = [name for each in asked for name in each.names]
        labels = [label for each in asked for label in each.labels]
    rows = unit_rows(features.detach().cpu())
    own = _own_positions(names if asked else [], index)
    wanted = min(len(index), neighbours + bool(own))
    similarities, positions, used = nearest_rows(rows, index.shards, neighbours=wanted, backend=backend)
    similarities, positions = _without(own, similarities, positions, neighbours)
    return Hits(
        index,
        names,
        labels,
        np.where(positions < 0, np.nan, similarities.clip(-1, 1)).astype(np.float32),
        _distances(rows, index, positions),
        positions,
        asked,
        used,
        len(own),
        relevant_items(labels, index, own),
    )


def _checked(queries: Float[Tensor, "queries features"], index: Index) -> Float[Tensor, "queries features"]:
    check_finite("queries", queries)
    if queries.shape[1] != index.manifest.features:
        raise ValueError(
            f"queries have {queries.shape[1]} features, {index.folder} holds embeddings of {index.manifest.features}: "
            "embed them by the index's own encoder"
        )
    return queries


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
