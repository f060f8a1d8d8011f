"""Precision at 1, R-precision and MAP@R: how many of the nearest are of the query's class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.labels import check_labels
from unconfound.functional.largest import spread, strip
from unconfound.functional.nearness import Nearness, on_float64
from unconfound.functional.search import check_finite
from unconfound.functional.similarity import check_tile


class RetrievalScores(NamedTuple):
    """What `retrieval_metrics` averages; one value a query, in [0, 1], in the order of the embeddings.

    Args:
        queries: the rows that were queries: those whose label another row carries.
        precision_at_1: 1 where the nearest other row is relevant, else 0.
        r_precision: the share of relevant rows among the R nearest, R being the number of relevant rows.
        map_at_r: mean average precision at R.
    """

    queries: Int[Tensor, " queries"]
    precision_at_1: Float[Tensor, " queries"]
    r_precision: Float[Tensor, " queries"]
    map_at_r: Float[Tensor, " queries"]


def retrieval_metrics(
    embeddings: Float[Tensor, "rows features"],
    labels: Integer[Tensor, " rows"],
    *,
    gallery: Float[Tensor, "rows features"] | None = None,
    tile: int = 1024,
) -> dict[str, float]:
    """Compute precision at 1, R-precision and MAP@R, where every row in turn queries all others.

    Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), section 3.2. See `retrieval_per_query`, which says
    what the gallery is.

    Returns:
        precision_at_1, r_precision and map_at_r, in [0, 1].
    """
    scores = retrieval_per_query(embeddings, labels, gallery=gallery, tile=tile)
    return {name: float(getattr(scores, name).mean()) for name in ("precision_at_1", "r_precision", "map_at_r")}


def retrieval_per_query(
    embeddings: Float[Tensor, "rows features"],
    labels: Integer[Tensor, " rows"],
    *,
    gallery: Float[Tensor, "rows features"] | None = None,
    tile: int = 1024,
) -> RetrievalScores:
    """Compute precision at 1, R-precision and MAP@R of each query.

    Rows are ranked by cosine similarity, exactly (see `nearest`); of equally similar rows the one of the lowest index
    comes first. The query itself is left out, its exact duplicates are not. For a query with R relevant
    rows, MAP@R is 1/R sum_{i=1..R} P(i), with P(i) the precision at i where the i-th row is relevant, else 0.

    Args:
        embeddings: any scale.
        labels: the class of each row, 0 or above. A row whose label no other carries is no query, but can be found.
        gallery: what is searched: the same samples in the same order, seen otherwise (on another background, say). Row
            i is never an answer to query i. By default the embeddings themselves.
        tile: at most so many queries are compared with all rows at a time. Memory is O(tile x rows).

    Raises:
        TypeError: embeddings are not floating-point, or labels not integers.
        ValueError: no two rows share a label, labels and rows differ in number, a label is negative, an embedding is
            not finite, the gallery is not of the embeddings' shape, or `tile` is below 1.
    """
    check_tile(tile)
    check_finite("embeddings", embeddings)
    if gallery is not None:
        check_finite("gallery", gallery)
        if gallery.shape != embeddings.shape:
            raise ValueError(
                f"the gallery must hold the queries' samples in their order, {tuple(embeddings.shape)}, "
                f"got {tuple(gallery.shape)}"
            )
    labels = check_labels(labels, rows=len(embeddings))
    _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    relevant = (sizes - 1)[classes]
    queries = relevant.nonzero().squeeze(1)
    if len(queries) == 0:
        raise ValueError(
            f"no two of the {len(labels)} rows share a label, so there is nothing to find: give more of a class"
        )
    rows = on_float64(embeddings)
    nearness = Nearness.of_directions(rows, rows if gallery is None else on_float64(gallery))
    device, classes, relevant, queries = labels.device, *(each.to(rows.device) for each in (classes, relevant, queries))
    scores = torch.empty(3, len(queries), dtype=torch.float64, device=rows.device)

    def score(positions: Tensor) -> None:
        asked = queries[positions]
        count = relevant[asked, None]
        found = nearness.nearest(asked, int(count.max()), left_out=asked)
        ranks = torch.arange(1, found.shape[1] + 1, device=rows.device)
        hits = (classes[found] == classes[asked, None]) & (ranks <= count)
        precisions = hits.cumsum(1, dtype=torch.int32) / ranks.double() * hits
        scores[0, positions] = hits[:, 0].double()
        scores[1, positions] = hits.sum(1) / count.squeeze(1).double()
        scores[2, positions] = precisions.sum(1) / count.squeeze(1)

    # Queries of classes of like size go together, so that one large class does not make all rankings long.
    spread(score, relevant[queries].argsort().split(strip(rows, tile)), device=rows.device, tile=tile)
    return RetrievalScores(queries.to(device), *scores.to(device))
