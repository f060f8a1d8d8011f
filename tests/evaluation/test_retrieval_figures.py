from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation import Embeddings
from unconfound.evaluation.retrieval_figures import first_hit_figures, retrieval_figures
from unconfound.functional.retrieval_metrics import retrieval_metrics


def test_separate_classes_are_retrieved_whole() -> None:
    labels = torch.arange(60) % 3
    features = 10 * torch.eye(3)[labels] + torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    figures = retrieval_figures(Embeddings(features, torch.arange(60), labels))
    assert {figure.value for figure in figures.values()} == {1}
    assert figures["precision_at_1"].low < 1


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_values_are_those_of_the_equations_and_do_not_depend_on_the_tile(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(80, 4, generator=generator)
    labels = torch.randint(0, 5, (80,), generator=generator)
    embeddings = Embeddings(features, torch.arange(80), labels)
    figures = retrieval_figures(embeddings, tile=7)
    expected = retrieval_metrics(features, labels)
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(expected)
    for figure in figures.values():
        assert 0 <= figure.low < figure.value < figure.high <= 1


def test_unlabelled_samples_are_neither_queries_nor_found() -> None:
    # The nearest of each is the unlabelled sample beside it.
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.01], [1.0, 0.11], [0.0, 1.0]])
    embeddings = Embeddings(features, torch.arange(5), torch.tensor([0, 0, -1, -1, 4]))
    figures = retrieval_figures(embeddings)
    assert figures["precision_at_1"].value == 1
    # The only sample of class 4 has nothing to find.
    assert figures["precision_at_1"].samples == 2


def scattered(seed: int, samples: int, classes: int = 7) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    features = torch.eye(classes)[labels] + 0.6 * torch.randn(samples, classes, generator=generator)
    return Embeddings(features, torch.arange(samples), labels)


def test_first_hits_in_a_reference_set_and_among_themselves() -> None:
    test, train = scattered(1, 30), scattered(2, 50)
    assert test.labels is not None
    assert train.labels is not None
    unit = [each.features.double() / each.features.double().norm(dim=1, keepdim=True) for each in (test, train)]
    for reference, similarities, others in ((train, unit[0] @ unit[1].T, train), (None, unit[0] @ unit[0].T, test)):
        if reference is None:
            similarities.fill_diagonal_(-torch.inf)
        assert others.labels is not None
        hits = others.labels[similarities.sort(descending=True, stable=True).indices] == test.labels[:, None]
        if reference is None:
            hits[:, -1] = False  # the sample itself
        ranks = hits.byte().argmax(1) + 1
        figures = first_hit_figures(test, reference=reference)
        assert figures["mean_reciprocal_rank"].value == pytest.approx(float((1 / ranks).mean()))
        for count in (2, 4, 8):
            assert figures[f"recall_at_{count}"].value == pytest.approx(float((ranks <= count).double().mean()))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        retrieval_figures(Embeddings(torch.ones(2, 2), torch.arange(2)))
    with pytest.raises(ValueError, match="no two of the 2 rows share a label"):
        retrieval_figures(Embeddings(torch.ones(2, 2), torch.arange(2), torch.tensor([0, 1])))
