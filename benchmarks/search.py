"""A million vectors searched, memory-mapped, against faiss's bare flat index, which holds them in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import WHOLE, Scale, Step, timed
from benchmarks.row import LeftOut, Row
from unconfound.retrieval.nearest_rows.backends import nearest_rows
from unconfound.retrieval.update import shard_rows

FEATURES, NEIGHBOURS = 128, 10


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    items = scale.of(1_000_000, 2_000)
    with tempfile.TemporaryDirectory() as folder:
        shards, queries = _mapped(_unit_rows(items, seed=0), Path(folder)), _unit_rows(scale.of(1000, 20), seed=1)

        @cache
        def flat() -> Any:
            import faiss

            faiss.omp_set_num_threads(torch.get_num_threads())
            index = faiss.IndexFlatIP(FEATURES)
            for shard in shards:
                index.add(np.asarray(shard))
            return index

        def peer(some: NDArray[np.float32]) -> Step:
            index = flat()
            _check_equal(some, shards, index.search(some, NEIGHBOURS))
            return lambda: index.search(some, NEIGHBOURS)

        # To one query both read all rows once, and nothing else takes time.
        for asked, rounds, target in ((len(queries), 3, 1), (len(queries) // 10, 3, 1), (1, 15, 0.8)):
            some = queries[:asked]
            yield timed(
                f"{NEIGHBOURS} nearest of {items:,} x {FEATURES} to each of {asked:,}, against faiss's IndexFlatIP",
                partial(nearest_rows, some, shards, neighbours=NEIGHBOURS, backend="auto"),
                partial(peer, some),
                target=target,
                rounds=rounds,
                scale=scale,
                unit="ms",
            )


def _unit_rows(count: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, FEATURES), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _mapped(gallery: NDArray[np.float32], folder: Path) -> list[NDArray[np.float32]]:
    shards = []
    for start in range(0, len(gallery), shard_rows(FEATURES)):
        path = folder / f"{start}.npy"
        np.save(path, gallery[start : start + shard_rows(FEATURES)])
        shards.append(np.load(path, mmap_mode="c"))
    return shards


def _check_equal(
    queries: NDArray[np.float32],
    shards: list[NDArray[np.float32]],
    found: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    similarities, positions, _ = nearest_rows(queries, shards, neighbours=NEIGHBOURS, backend="exact")
    np.testing.assert_allclose(similarities, found[0], atol=1e-6)
    # Positions differ only where similarities do by rounding alone.
    length = len(shards[0])
    for place, (query, expected) in enumerate(zip(queries, found[0], strict=True)):
        for side in (positions[place], found[1][place]):
            rows = np.stack([shards[position // length][position % length] for position in side])
            np.testing.assert_allclose(rows @ query, expected, atol=1e-6)
