from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation.concatenation import concatenate, concatenated_evaluations
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.retrieval_figures import retrieval_figures


def drawn(seed: int, features: int, scale: float = 1.0, samples: int = 24) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    rows = scale * torch.randn(samples, features, generator=generator)
    return Embeddings(rows, torch.arange(samples), torch.arange(samples) % 4)


def naive(parts: list[list[list[float]]], *, normalised: bool) -> list[list[float]]:
    """Rows put side by side, in plain loops."""
    joined = []
    for sample in range(len(parts[0])):
        row: list[float] = []
        for part in parts:
            length = math.sqrt(sum(value * value for value in part[sample])) if normalised else 1.0
            row += [value / length for value in part[sample]]
        joined.append(row)
    return joined


@given(seed=st.integers(0, 2**20), widths=st.lists(st.integers(1, 5), min_size=1, max_size=4), normalised=st.booleans())
@settings(deadline=None, max_examples=20)
def test_rows_are_put_side_by_side(seed: int, widths: list[int], normalised: bool) -> None:
    parts = [drawn(seed + place, width, 10.0**place) for place, width in enumerate(widths)]
    found = concatenate(parts, normalised=normalised)
    expected = naive([part.features.double().tolist() for part in parts], normalised=normalised)
    torch.testing.assert_close(found.features, torch.tensor(expected), rtol=1e-5, atol=1e-6)
    assert torch.equal(found.labels, parts[0].labels)
    assert found.features.shape[1] == sum(widths)


def test_both_forms_find_the_same_where_lengths_are_equal_and_not_where_they_differ() -> None:
    unit = [
        Embeddings(torch.nn.functional.normalize(part.features), part.index, part.labels)
        for part in (drawn(0, 3), drawn(1, 3))
    ]
    alike = concatenated_evaluations([{"test": part} for part in unit], name="a")
    assert alike["each"].tests == alike["once"].tests
    folds = [{"test": drawn(0, 3, 100.0)}, {"test": drawn(1, 3)}]
    found = concatenated_evaluations(folds, name="a")
    assert found["each"].tests["test"] == alike["each"].tests["test"]
    # The first encoder outweighs the other.
    assert found["once"].tests["test"] == retrieval_figures(folds[0]["test"])
    assert found["each"].tests != found["once"].tests


def test_every_test_set_and_swapped_backgrounds_are_judged() -> None:
    names = ("original", "mixed-same", "mixed-rand")
    folds = [{name: drawn(10 * fold + place, 3) for place, name in enumerate(names)} for fold in range(4)]
    evaluation = concatenated_evaluations(folds, name="dcml, seed 0")["each"]
    assert evaluation.name == "dcml, seed 0"
    assert tuple(evaluation.tests) == names
    assert evaluation.settings == {"features": 12, "folds": 4}
    assert {"background_gap_map_at_r", "map_at_r_crossed"} <= evaluation.background.keys()


def test_samples_without_labels_are_left_out() -> None:
    part = drawn(0, 3)
    labels = part.labels.clone()
    labels[:8] = -1
    partly = Embeddings(part.features, part.index, labels)
    found = concatenated_evaluations([{"test": partly}, {"test": partly}], name="a")
    assert found["each"].tests["test"]["map_at_r"].samples == 16


def test_other_samples_are_refused() -> None:
    part = drawn(0, 3)
    with pytest.raises(ValueError, match="there are no embeddings"):
        concatenate([])
    for other in (drawn(0, 3, samples=20), Embeddings(part.features, part.index, part.labels.flip(0))):
        with pytest.raises(ValueError, match=r"embeddings 1 hold .* not the 24 of embeddings 0 in the same order"):
            concatenate([part, other])
    with pytest.raises(ValueError, match="embeddings 1 hold 24"):
        concatenate([part, Embeddings(part.features, part.index)])
    assert concatenate([Embeddings(part.features, part.index)] * 2).labels is None
