"""Figures that `evaluation.json` holds and tables leave out: Recall@K, reciprocal ranks, top 5, and each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.evaluation.embed import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import mean, share
from unconfound.functional.clusters import normalized_mutual_information
from unconfound.functional.retrieval_metrics import first_hits
from unconfound.functional.similarity import normalize

RECALLS = (2, 4, 8)
TOP = 5


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


def top_5(
    logits: Float[Tensor, "samples outputs"], classes: Int[Tensor, " outputs"], labels: Int[Tensor, " samples"]
) -> Figure | None:
    """Give the share of samples whose class is among the five of the highest logits; None of five classes or fewer.

    Of equal logits the class that comes first is the higher.
    """
    if len(classes) <= TOP:
        return None
    highest = classes[logits.sort(dim=1, descending=True, stable=True).indices[:, :TOP]]
    return share((highest == labels[:, None]).any(1))


def class_figures(
    predictions: Int[Tensor, " samples"], labels: Int[Tensor, " samples"], *, names: Sequence[str]
) -> dict[str, Figure]:
    """Give the accuracy on the samples of each class, by its name; classes without samples are left out."""
    return {
        names[label] if label < len(names) else str(label): share(predictions[labels == label] == label)
        for label in labels.unique().tolist()
    }


def kmeans_nmi(embeddings: Embeddings, *, seed: int = 0) -> float:
    """Return the normalised mutual information of classes and as many clusters, in [0, 1].

    As metric learning has it (Oh Song et al., CVPR 2016, section 5): k-means on rows of length 1. The clusters are
    scikit-learn's, the best of ten starts. They depend on these, so that figures of one seed differ from those of
    another.

    Args:
        embeddings: samples without a label are left out.
        seed: of the starts.

    Raises:
        ValueError: no sample is labelled, or an embedding is not finite.
    """
    from sklearn.cluster import KMeans

    known, labels = embeddings.labelled()
    count = len(labels.unique())
    rows = normalize(known.features.double()).numpy()
    clusters = KMeans(count, n_init=10, random_state=seed).fit_predict(rows)
    return normalized_mutual_information(torch.from_numpy(clusters).long(), labels)
