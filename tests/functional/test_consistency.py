from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.consistency import (
    attention_distance,
    attention_variance,
    mean_class_penalty,
    pairwise_class_penalty,
)

seeds = st.integers(0, 10**6)
penalties = pytest.mark.parametrize("penalty", [mean_class_penalty, pairwise_class_penalty])


def _drawn(seed, batch=6, features=3, environments=2):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(batch, features, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (batch,), generator=generator)
    return rows, labels, torch.rand(batch, environments, generator=generator, dtype=torch.float64)


def _square(first, second):
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


def _to_means(rows, labels, weights):
    total = 0.0
    for row, label, weight in zip(rows, labels, weights, strict=True):
        own = [other for other, of in zip(rows, labels, strict=True) if of == label]
        mean = [sum(column) / len(own) for column in zip(*own, strict=True)]
        total += weight * _square(row, mean)
    return total / sum(weights)


def _to_each_other(rows, labels, weights):
    total = 0.0
    for i, row in enumerate(rows):
        total += weights[i] * sum(_square(row, rows[k]) for k in range(len(rows)) if k != i and labels[k] == labels[i])
    return total / sum(weights)


@pytest.mark.parametrize(
    ("penalty", "naive"), [(mean_class_penalty, _to_means), (pairwise_class_penalty, _to_each_other)]
)
@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 7), st.integers(1, 4))
def test_penalties_of_classes(penalty, naive, seed, batch, features):
    rows, labels, weights = _drawn(seed, batch, features)
    found = penalty(rows, labels, weights)
    for j in range(2):
        expected = naive(rows.tolist(), labels.tolist(), weights[:, j].tolist())
        assert found[j].item() == pytest.approx(expected, abs=1e-12)
        torch.testing.assert_close(penalty(rows, labels, weights[:, j]), found[j])
    expected = naive(rows.tolist(), labels.tolist(), [1.0] * batch)
    assert penalty(rows, labels).item() == pytest.approx(expected, abs=1e-12)
    # Where rows lie does not matter, nor what classes are called.
    torch.testing.assert_close(penalty(rows + 5, labels + 7, weights), found)


@penalties
def test_classes_that_agree_or_stand_alone_add_nothing(penalty):
    rows, _, weights = _drawn(0, 4)
    assert penalty(rows, torch.arange(4), weights).abs().max() == 0
    labels = torch.tensor([0, 1, 0, 1])
    assert penalty(rows[labels], labels, weights).abs().max() < 1e-24
    # Its weight counts in the divisor.
    labels = torch.tensor([0, 0, 1])
    rows = rows[:3].requires_grad_()
    equal = penalty(rows, labels)
    torch.testing.assert_close(equal, penalty(rows[:2], labels[:2]) * 2 / 3)
    equal.backward()
    assert rows.grad[2].abs().max() == 0
    assert rows.grad[:2].abs().min() > 0


def test_the_mean_is_a_constant_to_the_gradient_and_partners_are_not():
    rows, _, weights = _drawn(1, 4)
    rows.requires_grad_()
    labels, own = torch.zeros(4, dtype=torch.long), weights[:, 0]
    (found,) = torch.autograd.grad(mean_class_penalty(rows, labels, own), rows)
    share = (own / own.sum())[:, None]
    torch.testing.assert_close(found, 2 * share * (rows - rows.mean(0)).detach())
    assert torch.autograd.gradcheck(lambda given: pairwise_class_penalty(given, labels, weights), rows)
    assert torch.autograd.gradcheck(
        lambda by: torch.cat(
            [mean_class_penalty(rows.detach(), labels, by), pairwise_class_penalty(rows.detach(), labels, by)]
        ),
        weights.requires_grad_(),
    )


@penalties
def test_half_precision(penalty):
    rows, labels, weights = _drawn(2)
    half = rows.bfloat16()
    found = penalty(half, labels, weights.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), penalty(half.double(), labels, weights), rtol=1e-5, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(penalty(half, labels, weights.float()), found)


def test_maps_are_compared_whole():
    maps = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(pairwise_class_penalty(maps, labels), pairwise_class_penalty(maps.flatten(1), labels))


def _matrices(seed, environments=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(environments, *shape, generator=generator, dtype=torch.float64) for shape in ((2, 3), (4, 4))]


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(1, 4))
def test_differences_of_attentions(seed, environments):
    weights = _matrices(seed, environments)
    variances, distance = [], 0.0
    for matrices in weights:
        rows = matrices.flatten(1).tolist()
        mean = [sum(column) / environments for column in zip(*rows, strict=True)]
        for row in rows:
            variances.append(_square(row, mean) / sum(abs(value) for value in row) ** 2)
            distance += _square(row, mean)
    assert attention_variance(weights).item() == pytest.approx(sum(variances) / len(variances), abs=1e-15)
    assert attention_distance(weights).item() == pytest.approx(distance, abs=1e-12)
    scaled = attention_variance([3 * weights[0], -0.1 * weights[1]])
    torch.testing.assert_close(scaled, attention_variance(weights))


def test_attentions_that_are_equal_do_not_differ_and_others_do():
    weights = _matrices(0)
    equal = [matrices[:1].expand_as(matrices) for matrices in weights]
    for difference in (attention_variance, attention_distance):
        assert difference(equal).item() < 1e-25
        assert difference([matrices[:1] for matrices in weights]).item() == 0
        assert difference([torch.zeros(2, 3)]).item() == 0
        assert difference([equal[0], weights[1]]).item() > 1e-3
        half = [matrices.half().requires_grad_() for matrices in weights]
        found = difference(half)
        assert found.dtype == torch.float32
        found.backward()
        assert all(matrices.grad.isfinite().all() for matrices in half)
        inputs = tuple(matrices.clone().requires_grad_() for matrices in weights)
        assert torch.autograd.gradcheck(lambda *own: difference(own), inputs)  # noqa: B023


@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named():
    rows, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)
    for penalty in (mean_class_penalty, pairwise_class_penalty):
        with pytest.raises(ValueError, match=r"labels must have shape \(3,\)"):
            penalty(rows, labels[:2])
        with pytest.raises(ValueError, match=r"embeddings must be \[batch, features...\]"):
            penalty(rows[:0], labels[:0])
        with pytest.raises(TypeError, match="embeddings must be floating-point"):
            penalty(rows.long(), labels)
        with pytest.raises(ValueError, match=r"weights must be \[3\] or \[3, environments\]"):
            penalty(rows, labels, torch.ones(2))
    for difference in (attention_variance, attention_distance):
        with pytest.raises(ValueError, match="weights must hold at least one matrix"):
            difference([])
        with pytest.raises(ValueError, match=r"weights must be \[environments, ...\] each, got shape \(3,\)"):
            difference([torch.zeros(3)])
        with pytest.raises(TypeError, match="weights must be floating-point"):
            difference([torch.zeros(2, 3, dtype=torch.long)])
