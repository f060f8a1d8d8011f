from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

from unconfound.functional.contrastive import info_nce
from unconfound.functional.relation import relational_loss, relic


def _draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cosine(left, right):
    product = sum(float(a) * float(b) for a, b in zip(left, right, strict=True))
    return product / math.sqrt(sum(float(a) ** 2 for a in left)) / math.sqrt(sum(float(b) ** 2 for b in right))


def _softmax(row, others, temperature):
    scores = [_cosine(row, other) / temperature for other in others]
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return [weight / sum(weights) for weight in weights]


def _naive_relational(queries, keys, queue, temperature, key_temperature):
    total = 0.0
    for query, key in zip(queries, keys, strict=True):
        wanted = _softmax(key, queue, key_temperature)
        found = _softmax(query, queue, temperature)
        total -= sum(p * math.log(q) for p, q in zip(wanted, found, strict=True))
    return total / len(queries)


def _naive_relic(first, second, first_keys, second_keys, *, temperature, weight):
    total, count = 0.0, len(first)
    for at in range(count):
        there = _softmax(first[at], second_keys, temperature)
        back = _softmax(second[at], first_keys, temperature)
        total -= (math.log(there[at]) + math.log(back[at])) / 2
        for one, other in ((there, back), (back, there)):
            total += weight / 2 * sum(p * math.log(p / q) for p, q in zip(one, other, strict=True))
    return total / count


# The loss as a function of what learns, of three rows of four features.
LOSSES = {
    "relational": lambda first, second: relational_loss(first, _draw(8, 3, 4), _draw(9, 5, 4)) + 0 * second.sum(),
    "relic": lambda first, second: relic(first, second, _draw(8, 3, 4), _draw(9, 3, 4), temperature=0.3, weight=0.7),
    "relic on itself": lambda first, second: relic(first, second, first, second),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.integers(1, 7),
    st.sampled_from([(0.1, 0.04), (0.1, 0.1), (0.5, 2.0)]),
)
def test_the_relational_loss_is_its_definition(seed, batch, others, temperatures):
    queries, keys, queue = _draw(seed, batch, 3), 5 * _draw(seed + 1, batch, 3), _draw(seed + 2, others, 3)
    loss = relational_loss(queries, keys, queue, temperature=temperatures[0], key_temperature=temperatures[1])
    assert loss.item() == pytest.approx(_naive_relational(queries, keys, queue, *temperatures), abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0.1, 0.5, 3.0]), st.sampled_from([0.0, 1.0, 5.0]))
def test_relic_is_its_definition(seed, batch, temperature, weight):
    rows = [(1 + number) * _draw(seed + number, batch, 3) for number in range(4)]
    loss = relic(*rows, temperature=temperature, weight=weight)
    assert loss.item() == pytest.approx(_naive_relic(*rows, temperature=temperature, weight=weight), abs=1e-9)


@each_loss
def test_gradients_are_those_of_finite_differences(loss):
    rows = _draw(0, 3, 4).requires_grad_(), _draw(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(loss, rows, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, rows)


def test_no_gradient_flows_to_keys_and_queue():
    queries, keys, queue = (_draw(seed, 3, 4).requires_grad_() for seed in range(3))
    gradients = torch.autograd.grad(relational_loss(queries, keys, queue), (queries, keys, queue), allow_unused=True)
    assert gradients[0].any()
    assert gradients[1:] == (None, None)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(keys.detach(), torch.ones(3, 4, dtype=torch.float64))
        assert forward_ad.unpack_dual(relational_loss(queries.detach(), dual, queue.detach())).tangent is None


@each_loss
def test_the_scale_of_rows_does_not_matter(loss):
    first, second = _draw(0, 3, 4), _draw(1, 3, 4)
    torch.testing.assert_close(loss(3 * first, 0.1 * second), loss(first, second))


def test_the_order_of_samples_and_of_the_queue_does_not_matter():
    rows, order = [_draw(seed, 4, 3) for seed in range(4)], torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(relic(*(each[order] for each in rows)), relic(*rows))
    torch.testing.assert_close(relational_loss(rows[0], rows[1], rows[2][order]), relational_loss(*rows[:3]))
    torch.testing.assert_close(
        relational_loss(rows[0][order], rows[1][order], rows[2]), relational_loss(rows[0], rows[1], rows[2])
    )
    # The views are alike to RELIC.
    torch.testing.assert_close(relic(rows[1], rows[0], rows[3], rows[2]), relic(*rows))


def test_without_its_divergence_relic_is_infonce_both_ways():
    rows = [_draw(seed, 5, 3) for seed in range(4)]
    expected = (info_nce(rows[0], rows[3]) + info_nce(rows[1], rows[2])) / 2
    torch.testing.assert_close(relic(*rows, weight=0.0), expected)
    # Where both views agree there is no divergence.
    torch.testing.assert_close(relic(rows[0], rows[0], rows[1], rows[1], weight=9.0), info_nce(rows[0], rows[1]))
    assert relic(*rows, weight=1.0) > expected


def test_equal_embeddings_give_the_logarithm_of_the_candidates():
    same = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    for loss, count in (
        (relational_loss(same, same, torch.ones(7, 4, dtype=torch.float64)), 7),
        (relic(same, same, same, same), 3),
    ):
        assert loss.item() == pytest.approx(math.log(count))
        (gradient,) = torch.autograd.grad(loss, same)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_one_sample_is_told_apart_from_nothing_but_related_to_the_queue():
    rows = [_draw(seed, 1, 4) for seed in range(4)]
    assert relic(*rows).item() == 0
    assert relational_loss(rows[0], rows[1], _draw(9, 5, 4)) > 0


def test_zero_rows_have_similarity_0_and_nan_shows():
    rows = _draw(0, 3, 4)
    rows[1] = 0
    assert relational_loss(rows, rows, rows).isfinite()
    assert relic(rows, rows, rows, rows).isfinite()
    rows[1] = math.nan
    assert relational_loss(rows, rows, _draw(1, 3, 4)).isnan()
    assert relic(rows, rows, rows, rows).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    rows = [_draw(seed, 6, 4).to(dtype) for seed in range(4)]
    with torch.autocast("cpu", torch.bfloat16):
        losses = relational_loss(*rows[:3], key_temperature=0.01), relic(*rows, temperature=0.01)
    exact = [each.double() for each in rows]
    expected = relational_loss(*exact[:3], key_temperature=0.01), relic(*exact, temperature=0.01)
    for loss, value in zip(losses, expected, strict=True):
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(value.item(), rel=1e-4)


def test_bad_input_is_refused():
    rows, more = torch.ones(3, 4), torch.ones(2, 4)
    for temperature in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature must be a finite number above 0, got"):
            relational_loss(rows, rows, rows, temperature=temperature)
        with pytest.raises(ValueError, match="key_temperature must be a finite number above 0, got"):
            relational_loss(rows, rows, rows, key_temperature=temperature)
        with pytest.raises(ValueError, match="temperature must be a finite number above 0, got"):
            relic(rows, rows, rows, rows, temperature=temperature)
    with pytest.raises(ValueError, match="weight must be a finite number of at least 0, got -1"):
        relic(rows, rows, rows, rows, weight=-1.0)
    with pytest.raises(ValueError, match=r"queries and keys must have equal shapes.*\(3, 4\) and \(2, 4\)"):
        relational_loss(rows, more, rows)
    with pytest.raises(ValueError, match="queue must have the queries' 4 features, got 5"):
        relational_loss(rows, rows, torch.ones(3, 5))
    for place, name in ((1, "second"), (2, "first_keys"), (3, "second_keys")):
        with pytest.raises(ValueError, match=f"first and {name} must have equal shapes"):
            relic(*(more if number == place else rows for number in range(4)))
    with pytest.raises(TypeError, match="queries must be floating-point"):
        relational_loss(rows.long(), rows, rows)
    with pytest.raises(ValueError, match="queue must be"):
        relational_loss(rows, rows, torch.ones(0, 4))
