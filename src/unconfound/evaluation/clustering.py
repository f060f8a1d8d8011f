"""How well clusters of embeddings are the classes."""

from __future__ import annotations

import torch

from unconfound.evaluation.embeddings import Embeddings
from unconfound.functional.clusters import normalized_mutual_information
from unconfound.functional.similarity import normalize


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
