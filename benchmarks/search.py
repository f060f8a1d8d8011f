"""A million vectors searched, memory-mapped, against faiss's bare flat index, which holds them in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.row import Row, median_seconds
from unconfound.retrieval.backends import nearest_rows
from unconfound.retrieval.rewrite import shard_rows

ITEMS, FEATURES, NEIGHBOURS = 1_000_000, 128, 10


def run() -> list[Row]:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        gallery, queries = _unit_rows(ITEMS, seed=0), _unit_rows(1000, seed=1)
        shards = _mapped(gallery, Path(folder))
        flat = faiss.IndexFlatIP(FEATURES)
        flat.add(gallery)
        del gallery
        # To one query both read all rows once, and nothing else takes time.
        for asked, rounds, target in ((1000, 3, 1), (100, 3, 1), (1, 15, 0.8)):
            some = queries[:asked]
            _check_equal(some, shards, flat.search(some, NEIGHBOURS))
            ours, theirs = median_seconds(
                lambda some=some: nearest_rows(some, shards, neighbours=NEIGHBOURS, backend="auto"),  # type: ignore[misc]
                lambda some=some: flat.search(some, NEIGHBOURS),  # type: ignore[misc]
                rounds=rounds,
            )
            what = f"{NEIGHBOURS} nearest of {ITEMS:,} x {FEATURES} to each of {asked:,}, against faiss's IndexFlatIP"
            rows.append(Row(what, ours * 1e3, theirs * 1e3, theirs / ours, target, "ms"))
    return rows


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
    # Where positions differ, similarities differ by rounding alone.
    assert (positions != found[1]).mean() < 1e-3


if __name__ == "__main__":
    print(*run(), sep="\n")
