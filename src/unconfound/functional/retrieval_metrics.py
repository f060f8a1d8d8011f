"""Precision at 1, R-precision, MAP@R, Recall@K and reciprocal ranks: which of the nearest are of the query's class."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_finite, check_tile
from unconfound.functional.labels import check_labels
from unconfound.functional.largest import spread, strip
from unconfound.functional.nearness import Nearness, on_float64

# Rows that are ranked first, in search of the first relevant one.
_FIRST = 16


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
    gallery: Float[Tensor, "others features"] | None = None,
    gallery_labels: Integer[Tensor, " others"] | None = None,
    tile: int = 1024,
) -> dict[str, float]:
    """Compute precision at 1, R-precision and MAP@R, where every row in turn queries all others, or a gallery.

    Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), section 3.2. See `retrieval_per_query`, which says
    what the gallery is.

    Returns:
        precision_at_1, r_precision and map_at_r, in [0, 1].
    """
    scores = retrieval_per_query(embeddings, labels, gallery=gallery, gallery_labels=gallery_labels, tile=tile)
    return {name: float(getattr(scores, name).mean()) for name in ("precision_at_1", "r_precision", "map_at_r")}


def retrieval_per_query(
    embeddings: Float[Tensor, "rows features"],
    labels: Integer[Tensor, " rows"],
    *,
    gallery: Float[Tensor, "others features"] | None = None,
    gallery_labels: Integer[Tensor, " others"] | None = None,
    tile: int = 1024,
) -> RetrievalScores:
    """Compute precision at 1, R-precision and MAP@R of each query.

    Rows are ranked by cosine similarity, exactly (see `nearest`); of equally similar rows the one of the lowest index
    comes first. The query itself is left out, its exact duplicates are not. For a query with R relevant rows, MAP@R is
    1/R sum_{i=1..R} P(i), with P(i) the precision at i where the i-th row is relevant, else 0.

    Args:
        embeddings: any scale.
        labels: the class of each row, 0 or above. A row whose label no row carries that it may find is no query, but
            can be found.
        gallery: what is searched. Without `gallery_labels` the same samples in the same order, seen otherwise (on
            another background, say): row i is never an answer to query i. By default the embeddings themselves.
        gallery_labels: the class of each row of a gallery of other samples, a reference set. Nothing is left out.
        tile: at most so many queries are compared with all rows at a time. Memory is O(tile x rows).

    Raises:
        TypeError: embeddings are not floating-point, or labels not integers.
        ValueError: no query has anything to find, labels and rows differ in number, a label is negative, an embedding
            is not finite, the gallery is not of the embeddings' shape (with labels: their number of features), there
            are labels of no gallery, or `tile` is below 1.
    """
    task = _Task(embeddings, labels, gallery, gallery_labels, tile)
    scores = torch.empty(3, len(task.queries), dtype=torch.float64, device=task.queries.device)

    def score(positions: Tensor) -> None:
        asked = task.queries[positions]
        count = task.relevant[asked, None]
        hits = task.hits(asked, int(count.max()))
        ranks = torch.arange(1, hits.shape[1] + 1, device=hits.device)
        hits = hits & (ranks <= count)
        precisions = hits.cumsum(1, dtype=torch.int32) / ranks.double() * hits
        scores[0, positions] = hits[:, 0].double()
        scores[1, positions] = hits.sum(1) / count.squeeze(1).double()
        scores[2, positions] = precisions.sum(1) / count.squeeze(1)

    # Queries of classes of like size go together, so that one large class does not make all rankings long.
    task.spread(score, task.relevant[task.queries].argsort())
    return RetrievalScores(task.queries.to(labels.device), *scores.to(labels.device))


class FirstHits(NamedTuple):
    """Where in its ranking a query finds the first relevant row.

    Args:
        queries: the rows that were queries, as in `RetrievalScores`.
        ranks: from 1.
    """

    queries: Int[Tensor, " queries"]
    ranks: Int[Tensor, " queries"]


def first_hits(
    embeddings: Float[Tensor, "rows features"],
    labels: Integer[Tensor, " rows"],
    *,
    gallery: Float[Tensor, "others features"] | None = None,
    gallery_labels: Integer[Tensor, " others"] | None = None,
    tile: int = 1024,
) -> FirstHits:
    """Find the rank of the first relevant row of each query, for Recall@K and the mean reciprocal rank.

    Recall@K, as metric learning has it (Jegou et al., PAMI 2011; Oh Song et al., CVPR 2016, section 5), is the share of
    queries with a rank of at most K, not that of relevant rows that are found. The mean reciprocal rank (Voorhees,
    TREC-8, 1999) is the mean of 1 / rank.

    Rankings, arguments and errors are those of `retrieval_per_query`.
    """
    task = _Task(embeddings, labels, gallery, gallery_labels, tile)
    ranks = torch.zeros(len(task.queries), dtype=torch.int64, device=task.queries.device)

    def look(positions: Tensor) -> None:
        count = _FIRST
        while len(positions):
            hits = task.hits(task.queries[positions], min(count, task.available))
            # argmax gives the first of equals.
            ranks[positions] = hits.byte().argmax(1) + 1
            positions, count = positions[~hits.any(1)], 4 * count

    task.spread(look, torch.arange(len(task.queries), device=ranks.device))
    return FirstHits(task.queries.to(labels.device), ranks.to(labels.device))


class _Task:
    """Queries with something to find, and what they search; checked."""

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        gallery: Tensor | None,
        gallery_labels: Tensor | None,
        tile: int,
    ) -> None:
        check_tile(tile)
        check_finite("embeddings", embeddings)
        labels = check_labels(labels, rows=len(embeddings))
        if gallery is not None:
            check_finite("gallery", gallery)
            gallery_labels = _checked_gallery_labels(embeddings, gallery, gallery_labels)
        elif gallery_labels is not None:
            raise ValueError("gallery_labels are those of a gallery, and there is none: give the gallery, too")
        self.apart = gallery_labels is not None
        searched = labels if gallery_labels is None else gallery_labels
        names, both = torch.unique(torch.cat([labels, searched]), return_inverse=True)
        classes, found = both.split([len(labels), len(searched)])
        relevant = torch.bincount(found, minlength=len(names))[classes] - int(not self.apart)
        queries = relevant.nonzero().squeeze(1)
        if len(queries) == 0:
            raise ValueError(
                "no label of the queries is in the gallery, so there is nothing to find: give both samples of one class"
                if self.apart
                else f"no two of the {len(labels)} rows share a label, so there is nothing to find: "
                "give more of a class"
            )
        rows = on_float64(embeddings)
        self.gallery = rows if gallery is None else on_float64(gallery)
        self.nearness = Nearness.of_directions(rows, self.gallery)
        self.queries, self.relevant = queries.to(rows.device), relevant.to(rows.device)
        self.classes, self.found = classes.to(rows.device), found.to(rows.device)
        self.available, self.tile = len(searched) - int(not self.apart), tile

    def hits(self, asked: Tensor, count: int) -> Tensor:
        """Say of the `count` nearest rows of each query asked whether they are relevant."""
        left_out = None if self.apart else asked
        rows = self.nearness.nearest(asked, count, left_out=left_out, classes=(self.classes, self.found))
        return torch.eq(self.found[rows], self.classes[asked, None])

    def spread(self, work: Callable[[Tensor], None], positions: Tensor) -> None:
        """Do some work for each strip of queries, given by their positions."""
        strips = positions.split(strip(self.gallery, self.tile))
        spread(work, strips, device=self.gallery.device, tile=self.tile)


def _checked_gallery_labels(embeddings: Tensor, gallery: Tensor, labels: Tensor | None) -> Tensor | None:
    if labels is None and gallery.shape != embeddings.shape:
        raise ValueError(
            f"the gallery must hold the queries' samples in their order, {tuple(embeddings.shape)}, "
            f"got {tuple(gallery.shape)}: give gallery_labels with other samples"
        )
    if labels is None:
        return None
    if gallery.shape[1] != embeddings.shape[1]:
        raise ValueError(
            "queries and gallery must have the same number of features, "
            f"got {embeddings.shape[1]} and {gallery.shape[1]}"
        )
    return check_labels(labels, rows=len(gallery), name="gallery_labels")
