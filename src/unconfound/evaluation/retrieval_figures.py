"""Whether the nearest samples of a test set are of the query's class, and how near the first one that is."""

from __future__ import annotations

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import mean, share
from unconfound.functional.retrieval_metrics import RetrievalScores, first_hits, retrieval_per_query

RECALLS = (2, 4, 8)


def retrieval_figures(embeddings: Embeddings, *, tile: int = 1024) -> dict[str, Figure]:
    """Give precision_at_1, r_precision and map_at_r, where every sample in turn queries all others.

    Samples without a label are left out of queries and gallery; queries whose class has no other sample are left out.
    The intervals take the gallery as given and the queries as drawn independently.

    Raises:
        ValueError: no sample is labelled, or no two samples share a class.
    """
    known, labels = embeddings.labelled()
    return summed_up(retrieval_per_query(known.features, labels, tile=tile))


def summed_up(scores: RetrievalScores) -> dict[str, Figure]:
    """Give the means over queries, with the intervals that `retrieval_figures` describes."""
    return {
        "precision_at_1": share(scores.precision_at_1 > 0.5),
        "r_precision": mean(scores.r_precision),
        "map_at_r": mean(scores.map_at_r),
    }


def first_hit_figures(embeddings: Embeddings, *, reference: Embeddings | None = None) -> dict[str, Figure]:
    """Give recall_at_2, recall_at_4, recall_at_8 and mean_reciprocal_rank; Recall@1 is precision at 1.

    Args:
        embeddings: the labelled ones are queries.
        reference: whose labelled samples are searched; by default each sample in turn queries all others.

    Raises:
        ValueError: no sample is labelled, or no query has anything to find.
    """
    known, labels = embeddings.labelled()
    if reference is None:
        found = first_hits(known.features, labels)
    else:
        searched, searched_labels = reference.labelled()
        found = first_hits(known.features, labels, gallery=searched.features, gallery_labels=searched_labels)
    figures = {f"recall_at_{count}": share(found.ranks <= count) for count in RECALLS}
    return figures | {"mean_reciprocal_rank": mean(found.ranks.double().reciprocal())}
