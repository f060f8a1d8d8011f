from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.contrastive import nt_xent
from unconfound.functional.margin import large_margin_nt_xent


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(first, second, margin, temperature):
    rows = [[float(value) for value in row] for row in torch.cat([first, second])]
    lengths = [math.sqrt(sum(value**2 for value in row)) for row in rows]
    batch, total = len(first), 0.0

    def cosine(i, k):
        return sum(a * b for a, b in zip(rows[i], rows[k], strict=True)) / (lengths[i] * lengths[k])

    for i in range(2 * batch):
        pair = (i + batch) % (2 * batch)
        positive = math.exp((cosine(i, pair) - margin) / temperature)
        negatives = sum(math.exp(cosine(i, k) / temperature) for k in range(2 * batch) if k not in (i, pair))
        total -= math.log(positive / (positive + negatives)) / (2 * batch)
    return total


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(2, 6),
    features=st.integers(1, 5),
    margin=st.sampled_from([0.0, 0.1, 0.5, 3.0]),
    temperature=st.sampled_from([0.05, 0.5, 2.0]),
)
def test_the_loss_is_that_of_pairs_one_by_one(seed, batch, features, margin, temperature):
    first, second = draw(seed, 2, batch, features)
    value = large_margin_nt_xent(first, second, margin=margin, temperature=temperature)
    assert value.item() == pytest.approx(naive(first, second, margin, temperature), abs=1e-9)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("batch", [1, 2, 9])
def test_without_a_margin_it_is_nt_xent(batch, temperature):
    first, second = (view.requires_grad_() for view in draw(0, 2, batch, 5))
    values = (
        large_margin_nt_xent(first, second, margin=0, temperature=temperature),
        nt_xent(first, second, temperature=temperature),
    )
    torch.testing.assert_close(*values, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(value, (first, second)) for value in values]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_gradients_are_exact_forwards_backwards_and_twice():
    first, second = (view.requires_grad_() for view in draw(1, 2, 4, 3))

    def loss(first, second):
        return large_margin_nt_xent(first, second, margin=0.2, temperature=0.3)

    assert torch.autograd.gradcheck(loss, (first, second), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, (first, second))


def test_the_loss_grows_with_the_margin_by_no_more_than_the_margin_over_the_temperature():
    views = draw(2, 2, 8, 4)
    values = [large_margin_nt_xent(*views, margin=margin, temperature=0.2).item() for margin in (0, 0.1, 0.4, 2)]
    for (low, below), (high, above) in zip(
        zip((0, 0.1, 0.4), values[:-1], strict=True), zip((0.1, 0.4, 2), values[1:], strict=True), strict=True
    ):
        assert 0 < above - below < (high - low) / 0.2


def test_the_margin_pulls_harder_at_positives_that_are_found_already():
    first = torch.eye(4, dtype=torch.float64)
    second = (first + 0.1 * draw(3, 4, 4)).requires_grad_()
    pulls = []
    for margin in (0.0, 0.5):
        loss = large_margin_nt_xent(first, second, margin=margin, temperature=0.1)
        pulls.append(torch.autograd.grad(loss, second)[0].norm())
    assert pulls[1] > 5 * pulls[0]


def test_order_scale_and_rotation_do_not_matter():
    first, second = draw(4, 2, 6, 4)
    expected = large_margin_nt_xent(first, second, margin=0.3)
    rows, (rotation, _) = torch.randperm(6), torch.linalg.qr(draw(5, 4, 4))
    for views in (
        (second, first),
        (first[rows], second[rows]),
        (7 * first, 0.1 * second),
        (first @ rotation, second @ rotation),
    ):
        torch.testing.assert_close(large_margin_nt_xent(*views, margin=0.3), expected)


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_embeddings_that_are_all_equal_are_no_way_out(margin):
    same = torch.full((5, 3), 0.7)
    expected = math.log1p(8 * math.exp(margin / 0.5))
    assert large_margin_nt_xent(same, same, margin=margin).item() == pytest.approx(expected, abs=1e-5)
    zeros = torch.zeros(5, 3, requires_grad=True)
    loss = large_margin_nt_xent(zeros, same, margin=margin)
    loss.backward()
    assert zeros.grad.isfinite().all()


def test_one_pair_has_the_loss_zero():
    first, second = draw(6, 2, 1, 4).requires_grad_()
    value = large_margin_nt_xent(first, second, margin=0.5)
    assert value.item() == 0
    assert value.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_also_under_autocast(dtype):
    first, second = (100 * view.to(dtype) for view in draw(7, 2, 6, 4))
    expected = large_margin_nt_xent(first.float(), second.float(), margin=0.2, temperature=0.01)
    with torch.autocast("cpu", torch.bfloat16):
        value = large_margin_nt_xent(first.requires_grad_(), second, margin=0.2, temperature=0.01)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    value.backward()
    assert first.grad.isfinite().all()


def test_wrong_input_is_refused(unchecked_shapes):
    first, second = draw(8, 2, 4, 3)
    for bad in (math.nan, math.inf):
        assert large_margin_nt_xent(torch.full((4, 3), bad), second.float(), margin=0.1).isnan()
    with pytest.raises(ValueError, match=r"equal shapes.*\(4, 3\) and \(3, 3\)"):
        large_margin_nt_xent(first, second[:3], margin=0.1)
    with pytest.raises(ValueError, match="at least one of each"):
        large_margin_nt_xent(first[:0], second[:0], margin=0.1)
    with pytest.raises(TypeError, match=r"first must be floating-point, got torch.int64"):
        large_margin_nt_xent(first.long(), second, margin=0.1)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_options_out_of_range_are_refused(value):
    views = draw(9, 2, 4, 3)
    with pytest.raises(ValueError, match=f"margin must be a finite number of at least 0, got {value}"):
        large_margin_nt_xent(*views, margin=value)
    with pytest.raises(ValueError, match=f"temperature must be a finite number above 0, got {value}"):
        large_margin_nt_xent(*views, margin=0.1, temperature=value)
