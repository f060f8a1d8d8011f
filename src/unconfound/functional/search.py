"""Nearest neighbours, exactly and in tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unconfound.functional.similarity import check_rows, check_tile, normalize

Item = TypeVar("Item")
Result = TypeVar("Result")

# Similarities held at a time on CPUs, where those that fit in a cache are searched faster.
_STRIP_ELEMENTS = 2**21
# Fewer queries at a time than this make the matrix product slow.
_STRIP_ROWS = 256
# Numbers held at a time where rows are compared feature by feature, or ties are broken.
_CHUNK_ELEMENTS = 2**23


def nearest(
    queries: Float[Tensor, "queries features"],
    gallery: Float[Tensor, "gallery features"],
    *,
    neighbours: int,
    metric: Literal["cosine", "euclidean"] = "cosine",
    exclude_self: bool = False,
    tile: int = 1024,
) -> tuple[Float[Tensor, "queries neighbours"], Int[Tensor, "queries neighbours"]]:
    """Find the nearest gallery rows of each query, by exhaustive search in float32 (float64 stays float64).

    Equally near rows come in the order of their indices.

    Args:
        queries: what to look for.
        gallery: where to look.
        neighbours: how many to find, from 1 to the number of gallery rows (without the query itself).
        metric: cosine similarity or Euclidean distance.
        exclude_self: queries and gallery are the same rows, and row i is not its own neighbour. Duplicates of it are.
        tile: at most so many queries are compared with the gallery at a time. Memory is O(tile x gallery).

    Returns:
        The similarities in descending order, or the distances in ascending order, and the indices of the rows.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: numbers of features differ, a value is not finite, or an option is out of its range.
    """
    _check_search(queries, gallery, neighbours, metric, exclude_self, tile)
    dtype = torch.promote_types(torch.promote_types(queries.dtype, gallery.dtype), torch.float32)
    queries, gallery = queries.detach().to(dtype), gallery.detach().to(dtype)
    if metric == "cosine":
        queries, gallery = normalize(queries), normalize(gallery)
        bias = gallery.new_zeros(len(gallery))
    else:
        # Distances survive a shift, and the smaller the numbers, the less rounding in |g|^2 - 2 q.g.
        centre = gallery.mean(0)
        queries, gallery = queries - centre, gallery - centre
        bias = gallery.square().sum(1) / -2
    step = strip(gallery, tile)

    def search(start: int) -> tuple[Tensor, Tensor]:
        asked = queries[start : start + step]
        scores = torch.addmm(bias, asked, gallery.T)
        if exclude_self:
            scores.diagonal(start).fill_(-torch.inf)
        value, index = largest(scores, neighbours)
        return _by_distance(asked, gallery, index) if metric == "euclidean" else (value, index)

    values, indices = zip(*spread(search, range(0, len(queries), step), device=gallery.device, tile=tile), strict=True)
    return torch.cat(values), torch.cat(indices)


def spread(work: Callable[[Item], Result], items: Sequence[Item], *, device: torch.device, tile: int) -> list[Result]:
    """Do independent pieces of work, on the CPU several at a time, of which numpy by itself does one.

    No more than hold `tile` rows together, at `_STRIP_ROWS` each; they share the threads that torch may use.
    """
    threads = torch.get_num_threads()
    workers = min(threads, tile // _STRIP_ROWS, len(items)) if device.type == "cpu" else 1
    if workers < 2:
        return [work(item) for item in items]
    torch.set_num_threads(threads // workers)  # of each new thread
    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, items))
    finally:
        torch.set_num_threads(threads)


def strip(gallery: Tensor, tile: int) -> int:
    """Choose how many queries, at most `tile`, are compared with all rows of the gallery at a time."""
    if gallery.device.type != "cpu":
        return tile
    return min(tile, max(_STRIP_ROWS, _STRIP_ELEMENTS // len(gallery)))


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest of each row and their columns: descending, of equals the lower column first."""
    # One more than asked for shows whether the last one has an equal that was left out.
    values, columns = _largest_in_any_order_of_equals(scores, min(count + 1, scores.shape[1]))
    tied = (values[:, 1:] == values[:, :-1]).any(1).nonzero().squeeze(1)
    values, columns = values[:, :count], columns[:, :count]
    for rows in tied.split(max(1, _CHUNK_ELEMENTS // scores.shape[1])):
        here, last = scores[rows], values[rows, -1:]
        above, level = here > last, here == last
        missing = count - above.sum(1, keepdim=True)
        chosen = above | (level & (level.cumsum(1, dtype=torch.int32) <= missing))
        ascending = chosen.nonzero()[:, 1].view(len(rows), count)
        values[rows], order = here.gather(1, ascending).sort(dim=1, descending=True, stable=True)
        columns[rows] = ascending.gather(1, order)
    return values, columns


def _largest_in_any_order_of_equals(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    if scores.device.type != "cpu":
        values, columns = scores.topk(count)
        return values, columns
    # numpy selects and sorts with vector instructions, several times faster than torch, and lets go of Python's lock.
    columns = torch.from_numpy(_select(scores.numpy(), count))
    return scores.gather(1, columns), columns


def _select(scores: NDArray[Any], count: int) -> NDArray[np.intp]:
    columns = _candidates(scores, count)
    values = scores if columns is None else np.take_along_axis(scores, columns, axis=1)
    best = np.argpartition(values, -count, axis=1)[:, -count:]
    order = np.take_along_axis(values, best, axis=1).argsort(axis=1)[:, ::-1]
    best = np.take_along_axis(best, order, axis=1)
    return best if columns is None else np.take_along_axis(columns, best, axis=1)


def _candidates(scores: NDArray[Any], count: int) -> NDArray[np.intp] | None:
    """Return columns among which the `count` largest of each row are, or None where that spares no work.

    Columns are dealt into sets. The `count` sets of largest maxima hold `count` values that no value outside exceeds.
    Searching first among the sets and then inside of those few looks at far fewer numbers than there are columns.
    """
    rows, samples = scores.shape
    size = math.isqrt(samples // count)  # the least work in both searches together
    if size < 3:
        return None
    sets = samples // size
    largest = scores[:, : sets * size].reshape(rows, size, sets).max(axis=1)
    chosen = np.argpartition(largest, -count, axis=1)[:, -count:]
    members = (chosen[:, None, :] + sets * np.arange(size)[:, None]).reshape(rows, -1)
    left_over = np.broadcast_to(np.arange(sets * size, samples), (rows, samples - sets * size))
    return np.concatenate([members, left_over], axis=1)


def _by_distance(queries: Tensor, gallery: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distances to the rows found, from the differences, and the rows in the order of these."""
    found = found.sort(1).values
    distances = torch.empty(found.shape, dtype=queries.dtype, device=queries.device)
    step = max(1, _CHUNK_ELEMENTS // (found.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        torch.linalg.vector_norm(queries[rows, None] - gallery[found[rows]], dim=2, out=distances[rows])
    distances, order = distances.sort(dim=1, stable=True)
    return distances, found.gather(1, order)


def check_finite(name: str, rows: Tensor) -> None:
    """Refuse rows that are no numbers.

    Raises:
        ValueError: NaN or infinity; names how many rows and the first.
    """
    check_rows(name, rows)
    bad = ~rows.isfinite().all(1)
    if bad.any():
        raise ValueError(
            f"{name} must be finite, but {int(bad.sum())} of {len(rows)} rows hold NaN or infinity, the first is row "
            f"{int(bad.nonzero()[0])}: leave them out"
        )


def _check_search(  # noqa: PLR0917
    queries: Tensor, gallery: Tensor, neighbours: int, metric: str, exclude_self: bool, tile: int
) -> None:
    check_tile(tile)
    check_finite("queries", queries)
    check_finite("gallery", gallery)
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"queries and gallery must have the same number of features, got {queries.shape[1]} and {gallery.shape[1]}"
        )
    if metric not in {"cosine", "euclidean"}:
        raise ValueError(f"metric must be 'cosine' or 'euclidean', got {metric!r}")
    if exclude_self and len(queries) != len(gallery):
        raise ValueError(
            f"exclude_self needs queries and gallery to be the same rows, got {len(queries)} and {len(gallery)}"
        )
    available = len(gallery) - exclude_self
    if not 1 <= neighbours <= available:
        raise ValueError(f"neighbours must be from 1 to {available}, the rows to choose from, got {neighbours}")
