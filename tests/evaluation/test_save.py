from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from unconfound.data import MemorySource, Schema
from unconfound.evaluation import Embeddings
from unconfound.evaluation.save import save_embeddings


@pytest.fixture
def embedded() -> tuple[dict[str, Embeddings], dict[str, MemorySource]]:
    features = torch.tensor([[4.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, -1])
    source = MemorySource("rows", Schema("tables", (2,), ("no", "yes")), features, labels)
    return {"train": Embeddings(features, torch.arange(3), labels)}, {"train": source}


def test_a_classifier_adds_its_answers_and_how_sure_it_is(tmp_path, embedded) -> None:
    classifier = nn.Linear(2, 2)
    nn.init.eye_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    path = tmp_path / "rows.parquet"
    save_embeddings(path, *embedded, classifier=classifier, classes=("cat", "dog"))
    table = pd.read_parquet(path)
    assert list(table) == ["split", "index", "label", "prediction", "confidence", "embedding_0", "embedding_1"]
    assert table["prediction"].tolist() == ["cat", "dog", "cat"]
    np.testing.assert_allclose(table["confidence"], [1 / (1 + np.exp(-x)) for x in (4, 3, 1)], rtol=1e-6)
    assert table["label"].tolist()[:2] == ["no", "yes"]
    save_embeddings(tmp_path / "rows.npy", *embedded, classifier=classifier, classes=("cat", "dog"))
    assert np.load(tmp_path / "rows.npy").shape == (3, 2)


def test_without_a_classifier_there_are_no_answers(tmp_path, embedded) -> None:
    path = tmp_path / "rows.parquet"
    save_embeddings(path, *embedded)
    assert list(pd.read_parquet(path)) == ["split", "index", "label", "embedding_0", "embedding_1"]
