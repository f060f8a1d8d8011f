from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.whitening import slicing_orders, w_mse, whiten


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(seed, batch=12, features=3):
    first, noise = draw(seed, 2, batch, features)
    return 1.5 * first + 0.3, first + 0.5 * noise


def naive_whiten(rows, shrinkage):
    """Cholesky's factor entry by entry, and forward substitution."""
    rows = [[float(value) for value in row] for row in rows]
    count, features = len(rows), len(rows[0])
    means = [sum(row[i] for row in rows) / count for i in range(features)]
    rows = [[row[i] - means[i] for i in range(features)] for row in rows]
    factor = [[0.0] * features for _ in range(features)]
    for i in range(features):
        for j in range(i + 1):
            covariance = sum(row[i] * row[j] for row in rows) / (count - 1)
            entry = (1 - shrinkage) * covariance + (shrinkage if i == j else 0)
            entry -= sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = math.sqrt(entry) if i == j else entry / factor[j][j]
    whitened = []
    for row in rows:
        solved: list[float] = []
        for i in range(features):
            solved.append((row[i] - sum(factor[i][k] * solved[k] for k in range(i))) / factor[i][i])
        whitened.append(solved)
    return whitened


def naive_w_mse(first, second, sets, shrinkage):
    """Mean squared distance of whitened, normalised rows; `sets` are the indices whitened together."""
    distances = []
    for indices in sets:
        ones, others = (naive_whiten(view[indices], shrinkage) for view in (first, second))
        for one, other in zip(ones, others, strict=True):
            one_length, other_length = (math.sqrt(sum(value**2 for value in row)) for row in (one, other))
            distances.append(sum((a / one_length - b / other_length) ** 2 for a, b in zip(one, other, strict=True)))
    return sum(distances) / len(distances)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    features=st.integers(1, 5),
    more=st.integers(2, 6),
    shrinkage=st.sampled_from([0.0, 1e-3, 0.5]),
)
def test_whitened_rows_are_those_of_the_definition(seed, features, more, shrinkage):
    rows = 2 * draw(seed, features + more, features) @ draw(seed + 1, features, features) + 3
    expected = torch.tensor(naive_whiten(rows, shrinkage), dtype=torch.float64)
    torch.testing.assert_close(whiten(rows, shrinkage=shrinkage), expected, rtol=1e-4, atol=1e-6)


def test_whitened_rows_have_mean_zero_and_the_identity_as_their_covariance():
    rows = draw(0, 4, 20, 6) @ draw(1, 6, 6) + 5
    whitened = whiten(rows)
    torch.testing.assert_close(whitened.mean(1), torch.zeros(4, 6).double())
    for each, alone in zip(whitened, rows, strict=True):
        torch.testing.assert_close(each.T.cov(), torch.eye(6).double())
        torch.testing.assert_close(each, whiten(alone))


def test_a_triangular_map_and_a_shift_change_nothing():
    rows, (first, second) = draw(2, 12, 4), pair(2, 12, 4)
    maps = [torch.tril(draw(seed, 4, 4), -1) + torch.diag(draw(seed + 1, 4).exp()) for seed in (3, 5)]
    torch.testing.assert_close(whiten(rows @ maps[0].T - 7), whiten(rows))
    value = w_mse(first @ maps[0].T + 1, second @ maps[1].T, size=6)
    torch.testing.assert_close(value, w_mse(first, second, size=6))


SHAPES = [(12, 3, 4, 2), (13, 3, 4, 1), (11, 2, 4, 3), (7, 3, 100, 1), (5, 1, 2, 2)]


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
@pytest.mark.parametrize(("batch", "features", "size", "iterations"), SHAPES)
def test_the_loss_is_that_of_sub_batches_one_by_one(batch, features, size, iterations, shrinkage):
    if features >= max(2, min(size, batch)):
        pytest.skip("not enough rows")
    first, second = pair(batch, batch, features)
    orders = torch.stack([torch.randperm(batch) for _ in range(iterations)])
    count = max(1, batch // size)
    sets = [part for order in orders for part in order.tensor_split(count)]
    assert all(len(part) >= min(size, batch) for part in sets)
    value = w_mse(first, second, size=size, orders=orders, shrinkage=shrinkage)
    assert value.item() == pytest.approx(naive_w_mse(first, second, sets, shrinkage), abs=1e-9)
    without = w_mse(first, second, size=size, shrinkage=shrinkage)
    sets = list(torch.arange(batch).tensor_split(count))
    assert without.item() == pytest.approx(naive_w_mse(first, second, sets, shrinkage), abs=1e-9)


def test_gradients_are_exact_forwards_backwards_and_twice():
    first, second = (view.requires_grad_() for view in pair(6, 9, 2))
    orders = slicing_orders(9, 2)

    def loss(first, second):
        return w_mse(first, second, size=4, orders=orders, shrinkage=0.01)

    assert torch.autograd.gradcheck(loss, (first, second), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, (first, second))
    assert torch.autograd.gradcheck(whiten, (first,), check_forward_ad=True)


def test_known_values():
    rows = draw(7, 10, 3)
    assert w_mse(rows, rows, size=10).item() == pytest.approx(0, abs=1e-12)
    assert w_mse(rows, 5 * rows + 2, size=5).item() == pytest.approx(0, abs=1e-12)
    assert w_mse(rows, -rows, size=10).item() == pytest.approx(4)
    many = draw(8, 2, 4000, 3)
    assert w_mse(*many, size=4000).item() == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
@pytest.mark.parametrize("batch", [6, 130])
def test_embeddings_that_are_all_equal_have_the_loss_of_unrelated_views(value, batch):
    first, second = torch.full((batch, 4), value, requires_grad=True), torch.full((batch, 4), 3 * value)
    loss = w_mse(first, second, size=64, shrinkage=1e-4)
    assert loss.item() == 2
    loss.backward()
    assert first.grad.isfinite().all()
    with pytest.raises(ValueError, match="depend on each other, so their covariance cannot be inverted"):
        w_mse(first, second, size=64)


def test_rows_that_span_few_features_are_whitened_with_shrinkage_alone():
    rows = draw(9, 5, 8)
    with pytest.raises(ValueError, match="5 rows span at most 4 of 8 features"):
        whiten(rows)
    rows.requires_grad_()
    whitened = whiten(rows, shrinkage=1e-4)
    (gradient,) = torch.autograd.grad(whitened.square().sum(), rows)
    assert gradient.isfinite().all()
    # The span is whitened, nearly; the rest is no direction of these rows.
    values = torch.linalg.eigvalsh(whitened.T.cov())
    torch.testing.assert_close(values[-4:], torch.ones(4).double(), atol=1e-2, rtol=0)
    assert values[:4].abs().max() < 1e-9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_whitened_in_float64_also_under_autocast(dtype):
    first, second = (100 * view.to(dtype) for view in pair(10))
    expected = w_mse(first.double(), second.double(), size=6)
    with torch.autocast("cpu", torch.bfloat16):
        value = w_mse(first.requires_grad_(), second, size=6)
    assert value.dtype == whiten(first).dtype == torch.float32
    torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-6)
    value.backward()
    assert first.grad.isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_show(bad):
    first, second = pair(11)
    first[0, 0] = bad
    assert whiten(first).isnan().all()
    assert w_mse(first, second, size=6).isnan()
    assert w_mse(first, second, size=6, shrinkage=0.1).isnan()


def test_orders_of_slices_are_always_the_same_permutations():
    before = torch.random.get_rng_state()
    orders = slicing_orders(50, 3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(orders, slicing_orders(50, 3))
    assert torch.equal(orders[:2], slicing_orders(50, 2))
    assert torch.equal(orders.sort(1).values, torch.arange(50).expand(3, -1))
    assert len({tuple(order.tolist()) for order in orders}) == 3


def test_wrong_input_is_refused(unchecked_shapes):
    first, second = pair(12)
    with pytest.raises(ValueError, match=r"this batch holds 1: use at least 2"):
        w_mse(first[:1], second[:1], size=4)
    with pytest.raises(ValueError, match=r"equal shapes.*\(12, 3\) and \(5, 3\)"):
        w_mse(first, second[:5], size=4)
    with pytest.raises(TypeError, match=r"second must be floating-point, got torch.int64"):
        w_mse(first, second.long(), size=4)
    with pytest.raises(TypeError, match=r"rows must be floating-point, got torch.int64"):
        whiten(first.long())
    for rows in (first[:1], first[:, :0], first[0]):
        with pytest.raises(ValueError, match="at least two rows"):
            whiten(rows)
    for orders in (torch.arange(12), torch.arange(5)[None], torch.arange(12)[None][:0]):
        with pytest.raises(ValueError, match=r"orders must be \[iterations, 12\]"):
            w_mse(first, second, size=4, orders=orders)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.0, math.nan])
def test_options_out_of_range_are_refused(shrinkage):
    with pytest.raises(ValueError, match=f"shrinkage must be from 0 to below 1, got {shrinkage}"):
        w_mse(*pair(13), size=4, shrinkage=shrinkage)
    with pytest.raises(ValueError, match="size must be at least 2 rows, got 1"):
        w_mse(*pair(13), size=1)
