from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.pair_terms import (
    contrastive_terms,
    cosines,
    distances,
    margin_terms,
    multi_similarity_terms,
    noise_to_signal,
    nt_xent_terms,
    pairs,
    triplet_elements,
    triplet_total,
)


def triplets(rows, labels, margin=0.2):
    return triplet_total(distances(rows, rows), *pairs(labels), margin=margin)


def margins(rows, labels, boundary=1.1):
    edge = torch.as_tensor([boundary], dtype=rows.dtype) if isinstance(boundary, float) else boundary[labels]
    return margin_terms(distances(rows, rows), *pairs(labels), margin=0.2, boundary=edge).total()


def nt_xent(rows, labels, scale=10.0):
    return nt_xent_terms(scale * cosines(rows, rows), *pairs(labels)).total()


def similarities(rows, labels, epsilon=None):
    scores, options = cosines(rows, rows), {"positive_scale": 3.0, "scale": 9.0, "base": 0.2, "epsilon": epsilon}
    return multi_similarity_terms(scores, *pairs(labels), **options).total()


# The losses that are made of them, as in pytorch-metric-learning and in plain loops.
OURS = {
    "contrastive": lambda rows, labels: contrastive_terms(distances(rows, rows), *pairs(labels), 0.3, 1.2).total(),
    "noise": lambda rows, labels: contrastive_terms(noise_to_signal(rows, rows), *pairs(labels), 0.3, 1.2).total(),
    "triplet": triplets,
    "margin": margins,
    "nt-xent": nt_xent,
    "multi-similarity": similarities,
    "mined": lambda rows, labels: similarities(rows, labels, epsilon=0.1),
}


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_labels(seed, samples, classes):
    return torch.randint(classes, (samples,), generator=torch.Generator().manual_seed(seed))


def mean(values):
    return sum(values) / len(values) if values else 0.0


def naive(name, rows, labels):
    """Every loss, pair by pair."""
    rows = [[value / math.hypot(*row) for value in row] for row in rows.tolist()]
    labels, samples = labels.tolist(), range(len(rows))

    def cosine(i, j):
        return sum(a * b for a, b in zip(rows[i], rows[j], strict=True))

    def distance(i, j):
        return math.dist(rows[i], rows[j])

    def variance(values):
        middle = sum(values) / len(values)
        return sum((value - middle) ** 2 for value in values)

    def ratio(i, j):
        return variance([a - b for a, b in zip(rows[i], rows[j], strict=True)]) / variance(rows[i])

    near = {i: [j for j in samples if j != i and labels[j] == labels[i]] for i in samples}
    far = {i: [j for j in samples if labels[j] != labels[i]] for i in samples}
    if name in ("contrastive", "noise"):
        score = distance if name == "contrastive" else ratio
        pulled = [value for i in samples for j in near[i] if (value := score(i, j) - 0.3) > 0]
        pushed = [value for i in samples for j in far[i] if (value := 1.2 - score(i, j)) > 0]
        return mean(pulled) + mean(pushed)
    triplets = [(i, j, k) for i in samples for j in near[i] for k in far[i]]
    if name == "triplet":
        values = [distance(i, j) - distance(i, k) + 0.2 for i, j, k in triplets]
        return mean([value for value in values if value > 0])
    if name == "margin":
        values = [distance(i, j) - 1.1 + 0.2 for i, j, _ in triplets] + [
            1.1 - distance(i, k) + 0.2 for i, _, k in triplets
        ]
        return mean([value for value in values if value > 0])
    if name == "nt-xent":
        return mean(
            [
                -math.log(
                    math.exp(10 * cosine(i, j))
                    / (math.exp(10 * cosine(i, j)) + sum(math.exp(10 * cosine(i, k)) for k in far[i]))
                )
                for i in samples
                for j in near[i]
            ]
        )
    total = []
    for i in samples:
        positives, negatives = [cosine(i, j) for j in near[i]], [cosine(i, j) for j in far[i]]
        if name == "mined":
            kept = [s for s in positives if negatives and s - 0.1 < max(negatives)]
            negatives = [s for s in negatives if positives and s + 0.1 > min(positives)]
            positives = kept
        total.append(
            math.log(1 + sum(math.exp(-3 * (s - 0.2)) for s in positives)) / 3
            + math.log(1 + sum(math.exp(9 * (s - 0.2)) for s in negatives)) / 9
        )
    return mean(total)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(OURS)),
    seed=st.integers(0, 10**6),
    samples=st.integers(1, 8),
    classes=st.integers(1, 4),
    features=st.integers(2, 5),
)
def test_losses_are_those_of_pairs_one_by_one(name, seed, samples, classes, features):
    rows, labels = draw(seed, samples, features), some_labels(seed, samples, classes)
    assert OURS[name](rows, labels).item() == pytest.approx(naive(name, rows, labels), abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_all_equal_pytorch_metric_learning(seed):
    losses = pytest.importorskip("pytorch_metric_learning.losses", reason="extra metric is not installed")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    similar = losses.MultiSimilarityLoss(alpha=3, beta=9, base=0.2)
    theirs = {
        "contrastive": losses.ContrastiveLoss(pos_margin=0.3, neg_margin=1.2),
        "noise": losses.SignalToNoiseRatioContrastiveLoss(pos_margin=0.3, neg_margin=1.2),
        "triplet": losses.TripletMarginLoss(margin=0.2),
        "margin": losses.MarginLoss(margin=0.2, beta=1.1),
        "nt-xent": losses.NTXentLoss(temperature=0.1),
        "multi-similarity": similar,
        "mined": lambda rows, labels: similar(rows, labels, miners.MultiSimilarityMiner(0.1)(rows, labels)),
    }
    rows, labels = draw(seed, 40, 6).requires_grad_(), some_labels(seed, 40, 9)
    labels[0] = 20
    for name, loss in theirs.items():
        wanted, found = loss(rows, labels), OURS[name](rows, labels)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6, msg=name)
        gradients = [torch.autograd.grad(value, rows)[0] for value in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)


def test_a_learnt_boundary_of_each_class():
    rows, labels = draw(0, 12, 4), some_labels(0, 12, 3)
    boundary = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda edge: margins(rows, labels, edge), boundary)
    same = margins(rows, labels, torch.full((3,), 0.8, dtype=torch.float64))
    torch.testing.assert_close(same, margins(rows, labels, 0.8))


@pytest.mark.parametrize("name", OURS)
def test_gradients_order_scale_and_half_precision(name):
    rows, labels = draw(1, 8, 4).requires_grad_(), torch.arange(8) % 3
    loss = OURS[name]
    assert torch.autograd.gradcheck(lambda rows: loss(rows, labels), rows, check_forward_ad=True)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    for same in (loss(rows[order], labels[order]), loss(7 * rows, labels), loss(rows, 5 - labels)):
        torch.testing.assert_close(same, loss(rows, labels))
    half = loss(rows.detach().bfloat16(), labels)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), loss(rows, labels).detach(), rtol=0.05, atol=0.05)
    assert loss(rows * torch.nan, labels).isnan()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 1, 2]])
@pytest.mark.parametrize("kind", ["equal", "zero", "random"])
def test_degenerate_batches_have_finite_losses_and_gradients(name, labels, kind):
    rows = {"equal": torch.ones(4, 3), "zero": torch.zeros(4, 3), "random": draw(3, 4, 3).float()}[kind]
    rows = rows.clone().requires_grad_()
    loss = OURS[name](rows, torch.tensor(labels))
    (gradient,) = torch.autograd.grad(loss, rows)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    if labels == [0, 1, 2, 3] and name in ("triplet", "margin", "nt-xent", "mined"):
        assert loss == 0
        assert (gradient == 0).all()


def test_nt_xent_keeps_its_gradient_where_a_fraction_would_underflow():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.1], [1.0, 0.01]]).requires_grad_()
    loss = nt_xent(rows, torch.tensor([0, 0, 1]), scale=110.0)
    assert loss > 100
    assert torch.autograd.grad(loss, rows)[0].abs().max() > 1


def test_triplets_need_no_lists_and_their_elements_add_up():
    rows, labels = draw(0, 30, 5).requires_grad_(), some_labels(1, 30, 6)
    losses, anchors = triplet_elements(distances(rows, rows), *pairs(labels), margin=0.2)
    assert (losses > 0).all()
    assert anchors.shape == losses.shape
    torch.testing.assert_close(losses.mean(), triplets(rows, labels))
    gradients = [torch.autograd.grad(value, rows)[0] for value in (losses.mean(), triplets(rows, labels))]
    torch.testing.assert_close(*gradients)
    assert triplets(torch.randn(2000, 8), torch.arange(2000) % 500).isfinite()
