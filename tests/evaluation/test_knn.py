from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from unconfound.evaluation import Embeddings, knn_predict


def points(values: list[float], labels: list[int] | None = None) -> Embeddings:
    features = torch.tensor(values)[:, None]
    return Embeddings(features, torch.arange(len(values)), None if labels is None else torch.tensor(labels))


def test_majority_of_the_nearest_wins() -> None:
    train = points([0.0, 1.0, 2.0, 10.0, 11.0, 12.0], [7, 3, 3, 9, 9, 7])
    assert knn_predict(train, points([0.0, 11.4]), neighbours=3).tolist() == [3, 9]


def test_ties_go_to_the_smallest_label() -> None:
    # The four nearest of 0 are two of class 8 and two of class 2, the nearest of them of class 8.
    train = points([0.1, 0.2, 0.3, 0.4, 9.0], [8, 2, 2, 8, 8])
    assert knn_predict(train, points([0.0]), neighbours=4).tolist() == [2]
    assert knn_predict(train, points([0.0]), neighbours=1).tolist() == [8]


def test_cosine_ignores_length() -> None:
    train = Embeddings(torch.tensor([[10.0, 0.0], [0.9, 1.0]]), torch.arange(2), torch.tensor([0, 1]))
    query = Embeddings(torch.tensor([[1.0, 0.1]]), torch.arange(1))
    assert knn_predict(train, query, neighbours=1, metric="euclidean").tolist() == [1]
    assert knn_predict(train, query, neighbours=1, metric="cosine").tolist() == [0]


def test_unlabelled_training_samples_do_not_vote() -> None:
    train = points([0.0, 0.1, 5.0], [-1, -1, 4])
    assert knn_predict(train, points([0.0]), neighbours=1).tolist() == [4]


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(10, 60))
@settings(deadline=None, max_examples=15)
def test_agrees_with_scikit_learn(seed: int, neighbours: int, samples: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(samples, 6, generator=generator)
    labels = torch.randint(0, 4, (samples,), generator=generator)
    train = Embeddings(features, torch.arange(samples), labels)
    test = Embeddings(torch.randn(40, 6, generator=generator), torch.arange(40))
    reference = KNeighborsClassifier(neighbours).fit(features.numpy(), labels.numpy())
    expected = reference.predict(test.features.numpy())
    assert knn_predict(train, test, neighbours=neighbours).tolist() == expected.tolist()


def test_bad_input_is_refused() -> None:
    train = points([0.0, 1.0, 2.0], [0, 1, -1])
    with pytest.raises(ValueError, match="3 neighbours cannot be found among 2 labelled training samples"):
        knn_predict(train, points([0.0]), neighbours=3)
    with pytest.raises(ValueError, match="0 neighbours cannot be found"):
        knn_predict(train, points([0.0]), neighbours=0)
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        knn_predict(points([0.0]), points([0.0]))
    with pytest.raises(ValueError, match="have 1 features and the test embeddings 2"):
        knn_predict(train, Embeddings(torch.zeros(1, 2), torch.arange(1)), neighbours=1)
