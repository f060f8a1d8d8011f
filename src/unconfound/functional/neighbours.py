"""Nearest neighbours, exactly and in tiles."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.inputs import check_finite, check_tile, wide_dtype
from unconfound.functional.largest import spread, strip
from unconfound.functional.nearness import Nearness, on_float64


def nearest(
    queries: Float[Tensor, "queries features"],
    gallery: Float[Tensor, "gallery features"],
    *,
    neighbours: int,
    metric: Literal["cosine", "euclidean"] = "cosine",
    exclude_self: bool = False,
    tile: int = 1024,
) -> tuple[Float[Tensor, "queries neighbours"], Int[Tensor, "queries neighbours"]]:
    """Find the nearest gallery rows of each query, by exhaustive search.

    The answers are those of distances in float64, whatever the precision and scale of the rows: see `Nearness`. Equally
    near rows come in the order of their indices. A row of zeros has the cosine similarity 0 to any.

    Args:
        queries: what to look for.
        gallery: where to look.
        neighbours: how many to find, from 1 to the number of gallery rows (without the query itself).
        metric: cosine similarity or Euclidean distance.
        exclude_self: queries and gallery are the same rows, and row i is not its own neighbour. Duplicates of it are.
        tile: at most so many queries are compared with the gallery at a time. Memory is O(tile x gallery).

    Returns:
        The similarities in descending order, or the distances in ascending order, in float32 (float64 stays float64),
        and the indices of the rows.

    Raises:
        TypeError: rows are not floating-point, or `neighbours` is no whole number.
        ValueError: numbers of features differ, a value is not finite, or an option is out of its range.
    """
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
    if not isinstance(neighbours, int) or isinstance(neighbours, bool):
        raise TypeError(f"neighbours must be a whole number, got {neighbours!r}")
    if not 1 <= neighbours <= available:
        raise ValueError(f"neighbours must be from 1 to {available}, the rows to choose from, got {neighbours}")
    device, dtype = gallery.device, wide_dtype(queries, gallery)
    queries, gallery = (on_float64(queries),) * 2 if queries is gallery else (on_float64(queries), on_float64(gallery))
    nearness = Nearness.of_directions(queries, gallery) if metric == "cosine" else Nearness(queries, gallery)
    measure = nearness.cosines if metric == "cosine" else nearness.distances

    def search(asked: Tensor) -> tuple[Tensor, Tensor]:
        rows = nearness.nearest(asked, neighbours, left_out=asked if exclude_self else None)
        values = measure(asked.repeat_interleave(neighbours), rows.flatten())
        return values.view(rows.shape).to(dtype), rows

    strips = torch.arange(len(queries), device=gallery.device).split(strip(gallery, tile))
    values, indices = zip(*spread(search, strips, device=gallery.device, tile=tile), strict=True)
    return torch.cat(values).to(device), torch.cat(indices).to(device)
