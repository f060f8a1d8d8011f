from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.proxy_losses import (
    arcface_logits,
    center_spread,
    cosface_logits,
    normalized_softmax_logits,
    proxy_anchor_loss,
    proxy_nca_logits,
    soft_triple_logits,
)

LOGITS = {
    "cosface": (cosface_logits, {"scale": 20.0, "margin": 0.4}),
    "arcface": (arcface_logits, {"scale": 20.0, "margin": 23.0}),
    "normalized-softmax": (normalized_softmax_logits, {"scale": 20.0}),
    "proxy-nca": (proxy_nca_logits, {"scale": 9.0}),
    "soft-triple": (soft_triple_logits, {"scale": 20.0, "margin": 0.1, "sharpness": 5.0}),
}


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(seed=0, *, samples=9, classes=4, features=5, centers=0):
    proxies = draw(seed + 1, classes, centers, features) if centers else draw(seed + 1, classes, features)
    return draw(seed, samples, features), proxies, torch.arange(samples) % classes


def cosine(first, second):
    first, second = first.tolist(), second.tolist()
    lengths = math.hypot(*first) * math.hypot(*second)
    return sum(a * b for a, b in zip(first, second, strict=True)) / lengths


def naive(name, row, proxies, own, *, scale, margin=0.0, sharpness=0.0):
    """The scores of one sample, class by class."""
    scores = []
    for number, proxy in enumerate(proxies):
        if name == "soft-triple":
            near = [cosine(row, center) for center in proxy]
            weights = [math.exp(sharpness * value) for value in near]
            value = sum(w * c for w, c in zip(weights, near, strict=True)) / sum(weights)
        else:
            value = cosine(row, proxy)
        if name == "proxy-nca":
            scores.append(-scale * (2 - 2 * value))
        elif name == "arcface":
            angle, added = math.acos(value), math.radians(margin)
            moved = math.cos(angle + added) if angle + added <= math.pi else value - added * math.sin(added)
            scores.append(scale * (moved if number == own else value))
        else:
            scores.append(scale * (value - (margin if number == own else 0)))
    return scores


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(LOGITS)),
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 5)),
    margin=st.sampled_from([0.0, 0.3, 40.0, 150.0]),
)
def test_logits_are_those_of_samples_and_classes_one_by_one(name, seed, sizes, margin):
    samples, classes, features = sizes
    function, options = LOGITS[name]
    options = options | ({"margin": margin} if "margin" in options else {})
    rows, proxies, labels = batch(
        seed, samples=samples, classes=classes, features=features, centers=3 if name == "soft-triple" else 0
    )
    found = function(rows, proxies, labels, **options)
    wanted = [naive(name, row, proxies, own, **options) for row, own in zip(rows, labels.tolist(), strict=True)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("margin", [-0.2, 0.1])
def test_proxy_anchor_is_that_of_proxies_one_by_one(margin):
    rows, proxies, labels = batch(samples=9, classes=6)
    labels[labels == 5] = 0
    pulled, pushed = [], []
    for number, proxy in enumerate(proxies):
        scores = [cosine(row, proxy) for row in rows]
        own = [math.exp(-8 * (s - margin)) for s, label in zip(scores, labels.tolist(), strict=True) if label == number]
        other = [
            math.exp(8 * (s + margin)) for s, label in zip(scores, labels.tolist(), strict=True) if label != number
        ]
        pulled += [math.log(1 + sum(own))] if own else []
        pushed.append(math.log(1 + sum(other)))
    wanted = sum(pulled) / len(pulled) + sum(pushed) / len(pushed)
    assert len(pulled) == 5
    assert proxy_anchor_loss(rows, proxies, labels, scale=8.0, margin=margin).item() == pytest.approx(wanted)


def test_the_spread_of_centers_is_half_their_mean_distance():
    proxies = draw(0, 3, 4, 5)
    distances = [
        math.sqrt(2 + 1e-5 - 2 * cosine(centers[i], centers[j]))
        for centers in proxies
        for i in range(4)
        for j in range(i)
    ]
    assert center_spread(proxies).item() == pytest.approx(0.5 * sum(distances) / len(distances))
    assert center_spread(proxies[:, :1]) == 0
    same = draw(0, 3, 1, 5).expand(3, 4, 5).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(center_spread(same), same)
    assert gradient.isfinite().all()


def test_all_equal_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses", reason="extra metric is not installed")
    regularizers = pytest.importorskip("pytorch_metric_learning.regularizers")
    rows, _, labels = batch(samples=16, classes=5, features=8)
    torch.manual_seed(0)
    pairs = []
    for kind, name, theirs, ours in (
        ("CosFaceLoss", "cosface", {"margin": 0.6, "scale": 50}, {"margin": 0.6, "scale": 50.0}),
        ("ArcFaceLoss", "arcface", {"margin": 23, "scale": 50}, {"margin": 23.0, "scale": 50.0}),
        ("ArcFaceLoss", "arcface", {"margin": 100, "scale": 50}, {"margin": 100.0, "scale": 50.0}),
        ("NormalizedSoftmaxLoss", "normalized-softmax", {"temperature": 0.05}, {"scale": 20.0}),
        ("ProxyNCALoss", "proxy-nca", {"softmax_scale": 14}, {"scale": 14.0}),
    ):
        loss = getattr(losses, kind)(num_classes=5, embedding_size=8, **theirs).double()
        proxies = loss.proxies if name == "proxy-nca" else loss.W.T
        pairs.append((loss(rows, labels), F.cross_entropy(LOGITS[name][0](rows, proxies, labels, **ours), labels)))
    anchor = losses.ProxyAnchorLoss(num_classes=7, embedding_size=8, margin=0.2, alpha=30).double()
    pairs.append((anchor(rows, labels), proxy_anchor_loss(rows, anchor.proxies, labels, scale=30.0, margin=0.2)))
    soft = losses.SoftTripleLoss(
        num_classes=5,
        embedding_size=8,
        centers_per_class=3,
        la=20,
        gamma=0.1,
        margin=0.1,
        weight_regularizer=regularizers.SparseCentersRegularizer(5, 3),
        weight_reg_weight=0.3,
    ).double()
    centers = soft.fc.T.reshape(5, 3, 8)
    logits = soft_triple_logits(rows, centers, labels, scale=20.0, margin=0.1, sharpness=10.0)
    pairs.append((soft(rows, labels), F.cross_entropy(logits, labels) + 0.3 * center_spread(centers)))
    for theirs, ours in pairs:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LOGITS)
def test_gradients_scales_and_half_precision(name):
    function, options = LOGITS[name]
    rows, proxies, labels = batch(samples=4, classes=3, centers=2 if name == "soft-triple" else 0)

    def loss(rows, proxies):
        return F.cross_entropy(function(rows, proxies, labels, **options), labels)

    given = (rows.requires_grad_(), proxies.requires_grad_())
    assert torch.autograd.gradcheck(loss, given, check_forward_ad=True)
    torch.testing.assert_close(loss(1e200 * rows, 1e-200 * proxies), loss(*given))
    with torch.autocast("cpu", torch.bfloat16):
        half = function(rows.bfloat16(), proxies.bfloat16(), labels, **options)
    assert half.dtype == torch.float32
    assert half.isfinite().all()
    nothing = function(0 * rows, proxies, labels, **options)
    assert nothing.isfinite().all()
    assert function(rows * torch.nan, proxies, labels, **options).isnan().all()


def test_the_angle_has_no_derivative_where_a_sample_lies_on_its_proxy():
    proxies = torch.eye(3, 4)
    rows = torch.cat([proxies, -proxies]).requires_grad_()
    labels = torch.arange(3).repeat(2)
    loss = F.cross_entropy(arcface_logits(rows, proxies, labels, scale=10.0, margin=20.0), labels)
    (gradient,) = torch.autograd.grad(loss, rows)
    assert gradient.isfinite().all()


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_is_refused():
    rows, proxies, labels = batch()
    for options, message in (
        ({"scale": 0.0, "margin": 0.1}, "scale must be a finite number above 0, got 0"),
        ({"scale": 1.0, "margin": math.inf}, "margin must be a finite number, got inf"),
    ):
        with pytest.raises(ValueError, match=message):
            cosface_logits(rows, proxies, labels, **options)
    with pytest.raises(ValueError, match="an angle in degrees from 0 to 180, got 200"):
        arcface_logits(rows, proxies, labels, scale=1.0, margin=200.0)
    with pytest.raises(ValueError, match="labels must be 0 to 3, got 4"):
        normalized_softmax_logits(rows, proxies, labels + 1, scale=1.0)
    with pytest.raises(ValueError, match="as many columns, got 5 and 4"):
        proxy_nca_logits(rows, proxies[:, :4], labels, scale=1.0)
    with pytest.raises(ValueError, match=r"must be \[classes, centers, features\], got shape \(4, 5\)"):
        soft_triple_logits(rows, proxies, labels, scale=1.0, margin=0.0, sharpness=1.0)
    with pytest.raises(ValueError, match="sharpness must be a finite number of at least 0, got -1"):
        soft_triple_logits(rows, proxies[:, None], labels, scale=1.0, margin=0.0, sharpness=-1.0)
    with pytest.raises(TypeError, match="labels must be integers"):
        proxy_anchor_loss(rows, proxies, labels.float())
    with pytest.raises(ValueError, match="leave out the rows without labels"):
        proxy_anchor_loss(rows, proxies, labels - 1)
