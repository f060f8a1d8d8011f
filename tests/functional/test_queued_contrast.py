from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.queued_contrast import queue_info_nce


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(first, second):
    product = sum(a * b for a, b in zip(first, second, strict=True))
    return product / math.sqrt(sum(a * a for a in first)) / math.sqrt(sum(b * b for b in second))


def naive(query, key, queue, temperature):
    """Equation 1 of MoCo, pair by pair, in Python's floats."""
    total = 0.0
    for row, own in zip(query.tolist(), key.tolist(), strict=True):
        logits = [cosine(row, own) / temperature] + [cosine(row, other) / temperature for other in queue.tolist()]
        peak = max(logits)
        total += peak + math.log(sum(math.exp(each - peak) for each in logits)) - logits[0]
    return total / len(query)


@settings(deadline=None, max_examples=20)
@given(
    batch=st.integers(1, 6),
    length=st.integers(1, 7),
    features=st.integers(2, 5),
    temperature=st.sampled_from([0.01, 0.2, 3.0]),
    seed=st.integers(0, 1000),
)
def test_it_equals_its_definition(batch, length, features, temperature, seed):
    query, key = draw(seed, 2, batch, features)
    queue = draw(seed + 1, length, features)
    value = queue_info_nce(query, key, queue, temperature=temperature)
    assert value.item() == pytest.approx(naive(query, key, queue, temperature), abs=1e-10)


def test_value_and_gradient_are_those_of_cross_entropy_over_positive_and_queue():
    query, key = draw(0, 2, 5, 4).requires_grad_()
    queue = draw(1, 9, 4)
    rows, keys, others = (F.normalize(each, dim=1) for each in (query, key, queue))
    logits = torch.cat([(rows * keys).sum(1, keepdim=True), rows @ others.T], 1) / 0.2
    pair = queue_info_nce(query, key, queue), F.cross_entropy(logits, torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(*pair, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(each, (query, key)) for each in pair]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 2.0])
def test_known_answers(temperature):
    ones = torch.ones(3, 2, dtype=torch.float64)
    value = queue_info_nce(ones, 2 * ones, 5 * ones[:1].expand(6, 2), temperature=temperature)
    assert value.item() == pytest.approx(math.log(7), abs=1e-12)
    apart = torch.eye(8, dtype=torch.float64)
    expected = math.log1p(5 * math.exp(-1 / temperature))
    assert queue_info_nce(apart[:3], apart[:3], apart[3:], temperature=temperature).item() == pytest.approx(expected)


def test_a_positive_that_is_far_ahead_leaves_a_loss_and_a_gradient():
    # exp(-200) of a softmax is no float32 difference from 1, but a number of its own.
    query, queue = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([[-1.0, 0.0]], dtype=torch.float64)
    value = queue_info_nce(query, query, queue, temperature=0.01)
    assert value.item() == pytest.approx(math.exp(-200), rel=1e-9)


def test_rows_do_not_depend_on_each_other_and_order_does_not_matter():
    query, key = draw(2, 2, 6, 4)
    queue = draw(3, 9, 4)
    value = queue_info_nce(query, key, queue)
    alone = torch.stack([queue_info_nce(query[[at]], key[[at]], queue) for at in range(6)])
    torch.testing.assert_close(alone.mean(), value, rtol=0, atol=1e-12)
    rotation, _ = torch.linalg.qr(draw(4, 4, 4))
    for other in (
        queue_info_nce(query, key, queue.flip(0)),
        queue_info_nce(query * 1e200, key * draw(5, 6, 1).abs(), queue * 1e-200),
        queue_info_nce(query @ rotation, key @ rotation, queue @ rotation),
    ):
        torch.testing.assert_close(other, value, rtol=0, atol=1e-12)


def test_it_is_differentiated_exactly_twice_and_forwards():
    query, key = draw(6, 2, 4, 3)
    everything = tuple(each.requires_grad_() for each in (query, key, draw(7, 5, 3)))
    assert torch.autograd.gradcheck(queue_info_nce_at(0.3), everything, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(queue_info_nce_at(0.3), everything)


def queue_info_nce_at(temperature):
    return lambda query, key, queue: queue_info_nce(query, key, queue, temperature=temperature)


def test_one_matrix_is_kept_for_the_backward_pass():
    query, key = torch.randn(2, 64, 8, requires_grad=True)
    queue, kept = torch.randn(512, 8), []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each) or each, lambda each: each):
        queue_info_nce(query, key, queue)
    assert len({each.data_ptr() for each in kept if each.numel() >= 64 * 512}) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_and_autocast(dtype):
    query, key = (each.detach().requires_grad_() for each in draw(8, 2, 7, 16).to(dtype))
    queue = draw(9, 11, 16).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        value = queue_info_nce(query, key, queue, temperature=0.01)
    value.backward()
    assert value.dtype == torch.float32
    exact = naive(query.detach().double(), key.detach().double(), queue.double(), 0.01)
    assert value.item() == pytest.approx(exact, rel=1e-5)
    assert query.grad.isfinite().all()


def test_zeros_have_no_similarity_and_what_is_not_finite_gives_nan():
    zeros = torch.zeros(2, 3, requires_grad=True)
    value = queue_info_nce(zeros, torch.ones(2, 3), torch.zeros(4, 3))
    assert value.item() == pytest.approx(math.log(5))
    value.backward()
    assert zeros.grad.isfinite().all()
    for bad in (torch.nan, torch.inf):
        for at in range(3):
            rows = [torch.ones(2, 3), torch.ones(2, 3), torch.ones(4, 3)]
            rows[at][1, 0] = bad
            assert queue_info_nce(*rows).isnan()


@pytest.mark.parametrize("temperature", [0, -0.5, math.nan, math.inf])
def test_temperature_out_of_range(temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got"):
        queue_info_nce(torch.ones(2, 3), torch.ones(2, 3), torch.ones(4, 3), temperature=temperature)


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit():
    ones = torch.ones
    for shapes in (((3, 4), (2, 4), (5, 4)), ((3, 4), (3, 4), (5, 3))):
        with pytest.raises(ValueError, match="equal shapes, and queue as many columns, got"):
            queue_info_nce(*map(ones, shapes))
    with pytest.raises(ValueError, match=r"queue must be .*got shape \(0, 4\)"):
        queue_info_nce(ones(3, 4), ones(3, 4), ones(0, 4))
    with pytest.raises(TypeError, match=r"key must be floating-point, got torch.int64"):
        queue_info_nce(ones(3, 4), ones(3, 4).long(), ones(5, 4))
