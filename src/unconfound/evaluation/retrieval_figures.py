"""Whether the nearest samples of a test set are of the query's class."""

from __future__ import annotations

from unconfound.evaluation.embed import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import mean, share
from unconfound.functional.retrieval_metrics import RetrievalScores, retrieval_per_query


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
