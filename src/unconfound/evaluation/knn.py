"""Classification by the nearest training samples."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.evaluation.embeddings import Embeddings
from unconfound.functional.neighbours import nearest


def knn_predict(
    train: Embeddings,
    test: Embeddings,
    *,
    neighbours: int = 5,
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> Int[Tensor, " samples"]:
    """Predict the label that most of the nearest training samples carry; the smallest of equally frequent ones.

    Args:
        train: samples without a label (-1) are left out.
        test: may be unlabelled.
        neighbours: how many training samples vote.
        metric: what is near.

    Raises:
        ValueError: no training sample is labelled, or there are fewer than `neighbours`, or the two have different
            numbers of features, or an embedding is not finite.
    """
    train, labels = train.labelled()
    if not 1 <= neighbours <= len(train):
        raise ValueError(
            f"{neighbours} neighbours cannot be found among {len(train)} labelled training samples; "
            f"give a number from 1 to {len(train)}"
        )
    if train.features.shape[1] != test.features.shape[1]:
        raise ValueError(
            f"the training embeddings have {train.features.shape[1]} features and the test embeddings "
            f"{test.features.shape[1]}; embed both with the same encoder"
        )
    test.check_finite()
    classes, positions = labels.unique(return_inverse=True)
    _, found = nearest(test.features, train.features, neighbours=neighbours, metric=metric)
    votes = torch.zeros(len(test), len(classes), dtype=torch.int64)
    votes.scatter_add_(1, positions[found], torch.ones_like(found))
    # argmax gives the first of equal counts, and classes ascend.
    predicted: Tensor = classes[votes.argmax(dim=1)]
    return predicted
