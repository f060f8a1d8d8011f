"""The losses of pairs, triplets and proxies, against plain loops and differences in the scale."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.invariance import (
    contrastive_scale_gradient,
    multi_similarity_scale_gradient,
    proxy_anchor_scale_gradient,
    scale_gradient,
    soft_triplet_scale_gradient,
    squared_contrastive_scale_gradient,
    triplet_scale_gradient,
)

seeds = st.integers(0, 10**6)
STEP = 1e-6


def _derivative(loss):
    return (loss(1 + STEP) - loss(1 - STEP)) / (2 * STEP)


def _drawn(seed, batch):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(batch, 3, generator=generator, dtype=torch.float64)
    labels = torch.cat([torch.tensor([0, 0, 1]), torch.randint(3, (batch - 3,), generator=generator)])
    return torch.cdist(rows, rows), labels, torch.rand(batch, 2, generator=generator, dtype=torch.float64)


def _pairs(labels):
    for a, own in enumerate(labels):
        for b, other in enumerate(labels):
            if a != b:
                yield a, b, own == other


def _triplets(labels):
    for a, p, same in _pairs(labels):
        if same:
            yield from ((a, p, n) for n, other in enumerate(labels) if other != labels[a])


def _average(terms):
    """Of (weight, value)."""
    size = sum(weight for weight, _ in terms)
    return sum(weight * value for weight, value in terms) / size if size else 0.0


def _contrastive(d, labels, weights, c):
    kinds = {True: [], False: []}
    for a, b, same in _pairs(labels):
        value = c * d[a][b] - 0.7 if same else 1.9 - c * d[a][b]
        if value > 0:
            kinds[same].append((weights[a], value))
    return _average(kinds[True]) + _average(kinds[False])


def _squared(d, labels, weights, c):
    kinds = {True: [], False: []}
    for a, b, same in _pairs(labels):
        value = c * d[a][b] if same else max(1.9 - c * d[a][b], 0.0)
        kinds[same].append((weights[a], value**2))
    return _average(kinds[True]) + _average(kinds[False])


def _triplet(d, labels, weights, c):
    terms = [(weights[a], c * (d[a][p] - d[a][n]) + 0.4) for a, p, n in _triplets(labels)]
    return _average([(weight, value) for weight, value in terms if value > 0])


def _soft_triplet(d, labels, weights, c):
    terms = [(weights[a], c * (d[a][p] - d[a][n]) + 0.4) for a, p, n in _triplets(labels)]
    return _average([(weight, math.log1p(math.exp(value))) for weight, value in terms])


def _multi_similarity(s, labels, weights, c):
    terms = []
    for a, weight in enumerate(weights):
        pulled = sum(math.exp(-2 * (c * s[a][b] - 0.5)) for own, b, same in _pairs(labels) if own == a and same)
        pushed = sum(math.exp(9 * (c * s[a][b] - 0.5)) for own, b, same in _pairs(labels) if own == a and not same)
        terms.append((weight, math.log1p(pulled) / 2 + math.log1p(pushed) / 9))
    return _average(terms)


ROWS = [
    (contrastive_scale_gradient, {"positive_margin": 0.7, "negative_margin": 1.9}, _contrastive),
    (squared_contrastive_scale_gradient, {"margin": 1.9}, _squared),
    (triplet_scale_gradient, {"margin": 0.4}, _triplet),
    (soft_triplet_scale_gradient, {"margin": 0.4}, _soft_triplet),
    (multi_similarity_scale_gradient, {"positive_scale": 2.0, "negative_scale": 9.0, "base": 0.5}, _multi_similarity),
]
rows_of_the_table = pytest.mark.parametrize(
    ("closed", "options", "loss"), ROWS, ids=lambda each: getattr(each, "__name__", "")
)


@rows_of_the_table
@settings(deadline=None, max_examples=12)
@given(seeds, st.integers(3, 7))
def test_the_derivative_by_a_scale(closed, options, loss, seed, batch):
    scores, labels, weights = _drawn(seed, batch)
    found = closed(scores, labels, weights, **options)
    for j in range(2):
        expected = _derivative(lambda c, j=j: loss(scores.tolist(), labels.tolist(), weights[:, j].tolist(), c))
        assert found[j].item() == pytest.approx(expected, abs=1e-6)
    expected = _derivative(lambda c: loss(scores.tolist(), labels.tolist(), [1.0] * batch, c))
    assert closed(scores, labels, **options).item() == pytest.approx(expected, abs=1e-6)
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    again = closed(scores[order][:, order], labels[order], weights[order], **options)
    torch.testing.assert_close(again, found)
    # The diagonal is not looked at.
    torch.testing.assert_close(closed(scores.clone().fill_diagonal_(1e3), labels, weights, **options), found)


@rows_of_the_table
def test_gradients_and_half_precision(closed, options, loss):
    scores, labels, weights = _drawn(1, 6)
    assert torch.autograd.gradcheck(
        lambda own, by: closed(own, labels, by, **options), (scores.requires_grad_(), weights.requires_grad_())
    )
    half = scores.detach().bfloat16().requires_grad_()
    found = closed(half, labels, **options)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, closed(half.detach().float(), labels, **options))
    found.square().backward()
    assert half.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            closed(scores.detach(), labels, **options), closed(scores.detach(), labels, **options)
        )


def test_the_general_route_agrees():
    scores, labels, _ = _drawn(2, 6)
    same = labels[:, None] == labels
    negative = (~same).double()

    def soft(d):
        positive = same.double().fill_diagonal_(0)
        mask = positive[:, :, None] * negative[:, None, :]
        return (torch.nn.functional.softplus(d[:, :, None] - d[:, None, :]) * mask).sum() / mask.sum()

    torch.testing.assert_close(scale_gradient(soft, scores), soft_triplet_scale_gradient(scores, labels))


def test_squared_distances_double():
    d, labels, _ = _drawn(3, 6)
    on_squares = contrastive_scale_gradient(d.square(), labels, negative_margin=3.0)
    positive = (labels[:, None] == labels).fill_diagonal_(False)
    near = (labels[:, None] != labels) & (d.square() < 3.0)

    def loss(own):
        return own.square()[positive].mean() + (3.0 - own.square())[near].mean()

    torch.testing.assert_close(scale_gradient(loss, d), 2 * on_squares)


def test_slopes_of_active_triplets_are_above_minus_the_margin():
    for seed in range(20):
        d, labels, _ = _drawn(seed, 6)
        assert triplet_scale_gradient(d, labels, margin=0.1) > -0.1


def test_nothing_active_has_no_slope():
    labels = torch.tensor([0, 0, 1])
    d = torch.where(labels[:, None] == labels, 0.0, 9.0).requires_grad_()
    for found in (
        contrastive_scale_gradient(d, labels, negative_margin=1.0),
        triplet_scale_gradient(d, labels, margin=0.1),
    ):
        assert found.item() == 0
        found.backward(retain_graph=True)
    assert d.grad.abs().max() == 0


def _proxy_anchor(s, labels, classes, c):
    pulled, pushed = [], []
    for p in range(classes):
        own = [c * s[i][p] for i, label in enumerate(labels) if label == p]
        others = [c * s[i][p] for i, label in enumerate(labels) if label != p]
        if own:
            pulled.append(math.log1p(sum(math.exp(-8 * (value - 0.1)) for value in own)))
        pushed.append(math.log1p(sum(math.exp(8 * (value + 0.1)) for value in others)))
    return sum(pulled) / len(pulled) + sum(pushed) / classes


@settings(deadline=None, max_examples=12)
@given(seeds, st.integers(1, 6), st.integers(1, 5))
def test_proxy_anchor(seed, batch, classes):
    generator = torch.Generator().manual_seed(seed)
    s = 2 * torch.rand(batch, classes, generator=generator, dtype=torch.float64) - 1
    labels = torch.randint(classes, (batch,), generator=generator)
    found = proxy_anchor_scale_gradient(s, labels, scale=8.0, margin=0.1)
    expected = _derivative(lambda c: _proxy_anchor(s.tolist(), labels.tolist(), classes, c))
    assert found.item() == pytest.approx(expected, abs=1e-6)
    s.requires_grad_()
    assert torch.autograd.gradcheck(lambda own: proxy_anchor_scale_gradient(own, labels, scale=8.0), s)
    half = s.detach().half()
    torch.testing.assert_close(
        proxy_anchor_scale_gradient(half, labels), proxy_anchor_scale_gradient(half.float(), labels)
    )


@pytest.mark.parametrize("scale", [32.0, 1000.0])
def test_large_scales_stay_finite(scale):
    s = (2 * torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) - 1).requires_grad_()
    found = proxy_anchor_scale_gradient(s, torch.tensor([0, 0, 1, 1, 2, 2]), scale=scale)
    square = s @ s.T / 4
    found = found + multi_similarity_scale_gradient(square, torch.tensor([0, 0, 1, 1, 2, 2]), negative_scale=scale)
    found.backward()
    assert found.isfinite()
    assert s.grad.isfinite().all()


@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named():
    d, labels = torch.zeros(3, 3), torch.tensor([0, 0, 1])
    with pytest.raises(ValueError, match=r"distances must be \[batch, batch\], of at least 2 rows, got shape \(3, 2\)"):
        contrastive_scale_gradient(d[:, :2], labels, negative_margin=1.0)
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\)"):
        squared_contrastive_scale_gradient(d, labels[:2], margin=1.0)
    with pytest.raises(ValueError, match="margin must be a finite number, got nan"):
        triplet_scale_gradient(d, labels, margin=math.nan)
    for other in (torch.zeros(3, dtype=torch.long), torch.arange(3)):
        with pytest.raises(ValueError, match="the 3 rows hold no triplet: sample at least two classes"):
            soft_triplet_scale_gradient(d, other)
    with pytest.raises(ValueError, match="negative_scale must be a finite number above 0, got 0"):
        multi_similarity_scale_gradient(d, labels, negative_scale=0)
    with pytest.raises(TypeError, match="similarities must be floating-point"):
        multi_similarity_scale_gradient(d.long(), labels)
    with pytest.raises(ValueError, match="labels must be 0 to 1, got"):
        proxy_anchor_scale_gradient(d[:, :2], labels + 1)
    with pytest.raises(ValueError, match="scale must be a finite number above 0"):
        proxy_anchor_scale_gradient(d, labels, scale=-1.0)
