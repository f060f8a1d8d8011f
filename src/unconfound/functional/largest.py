"""Work in strips, and the largest of each row of similarities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Item = TypeVar("Item")
Result = TypeVar("Result")

# Similarities held at a time on CPUs, where those that fit in a cache are searched faster.
_STRIP_ELEMENTS = 2**21
# Fewer queries at a time than this make the matrix product slow.
_STRIP_ROWS = 256
# Numbers held at a time where ties are broken.
_CHUNK_ELEMENTS = 2**23


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
    values, columns = largest_in_any_order_of_equals(scores, min(count + 1, scores.shape[1]))
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


def largest_in_any_order_of_equals(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest of each row and their columns: descending, of equals any and in any order."""
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
