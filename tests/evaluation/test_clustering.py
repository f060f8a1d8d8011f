from __future__ import annotations

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from unconfound.evaluation import Embeddings
from unconfound.evaluation.clustering import kmeans_nmi


def test_kmeans_nmi_is_that_of_clusters_of_unit_rows() -> None:
    labels = torch.arange(84) % 7
    noise = torch.randn(84, 7, generator=torch.Generator().manual_seed(4))
    each = Embeddings(torch.eye(7)[labels] + 0.6 * noise, torch.arange(84), labels)
    unit = torch.nn.functional.normalize(each.features.double()).numpy()
    clusters = KMeans(7, n_init=10, random_state=3).fit_predict(unit)
    expected = normalized_mutual_info_score(labels.numpy(), clusters)
    assert kmeans_nmi(each, seed=3) == pytest.approx(expected)
    assert kmeans_nmi(Embeddings(torch.eye(3).repeat(5, 1), torch.arange(15), torch.arange(15) % 3)) == pytest.approx(1)
