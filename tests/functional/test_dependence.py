from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.dependence import hsic, kernel_matrix, ssl_hsic


def _draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _kernel(left, right, kernel, scale):
    left = [float(value) / float(left.norm()) for value in left]
    right = [float(value) / float(right.norm()) for value in right]
    square = sum((a - b) ** 2 for a, b in zip(left, right, strict=True))
    return math.exp(-square / (2 * scale**2)) if kernel == "gaussian" else scale / math.sqrt(scale**2 + square)


def _naive_unbiased(first, second):
    """HSIC as expectations over pairs, triples and quadruples of different rows, each averaged one by one."""
    count = len(first)
    everything = range(count)
    pairs = [(i, j) for i in everything for j in everything if i != j]
    triples = [(i, j, k) for i, j in pairs for k in everything if k not in (i, j)]
    quadruples = [(i, j, k, m) for i, j, k in triples for m in everything if m not in (i, j, k)]
    together = sum(float(first[i, j] * second[i, j]) for i, j in pairs) / len(pairs)
    apart = sum(float(first[i, j] * second[k, m]) for i, j, k, m in quadruples) / len(quadruples)
    between = sum(float(first[i, j] * second[i, k]) for i, j, k in triples) / len(triples)
    return together + apart - 2 * between


def _naive_biased(first, second):
    count = len(first)
    total = 0.0
    for i in range(count):
        for j in range(count):
            rows = [sum(float(each[i, k]) for k in range(count)) / count for each in (first, second)]
            columns = [sum(float(each[k, j]) for k in range(count)) / count for each in (first, second)]
            means = [sum(float(value) for value in each.flatten()) / count**2 for each in (first, second)]
            parts = [float(each[i, j]) for each in (first, second)]
            centred = [
                part - row - column + mean for part, row, column, mean in zip(parts, rows, columns, means, strict=True)
            ]
            total += centred[0] * centred[1]
    return total / (count - 1) ** 2


def _naive_ssl_hsic(views, kernel, scale, weight, unbiased):
    count, batch = views.shape[:2]
    rows = [(image, view) for view in range(count) for image in range(batch)]
    value = {(a, b): _kernel(views[a[1], a[0]], views[b[1], b[0]], kernel, scale) for a in rows for b in rows}
    matrix = torch.tensor([[value[a, b] for b in rows] for a in rows], dtype=torch.float64)
    if unbiased:
        same = [value[a, b] for a in rows for b in rows if a[0] == b[0] and a != b]
        other = [value[a, b] for a in rows for b in rows if a[0] != b[0]]
        dependence = sum(same) / len(same) - sum(other) / len(other)
        variance = _naive_unbiased(matrix, matrix)
    else:
        same = [value[a, b] for a in rows for b in rows if a[0] == b[0]]
        dependence = sum(same) / (batch * count * (count - 1)) - sum(value.values()) / (batch * count) ** 2
        dependence -= 1 / (count - 1)
        variance = _naive_biased(matrix, matrix)
    return weight * math.sqrt(variance) - dependence


kernels = st.sampled_from(["multiquadric", "gaussian"])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 6), kernels, st.sampled_from([0.3, 1.0, 4.0]))
def test_the_kernel_is_its_definition(seed, count, kernel, scale):
    rows = 7 * _draw(seed, count, 3)
    matrix = kernel_matrix(rows, kernel=kernel, scale=scale)
    expected = torch.tensor([[_kernel(a, b, kernel, scale) for b in rows] for a in rows], dtype=torch.float64)
    torch.testing.assert_close(matrix, expected)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_both_estimates_are_sums_one_by_one(seed, count):
    first, second = kernel_matrix(_draw(seed, count, 2)), kernel_matrix(_draw(seed + 1, count, 3), kernel="gaussian")
    assert hsic(first, second, unbiased=False).item() == pytest.approx(_naive_biased(first, second), abs=1e-12)
    if count >= 4:
        assert hsic(first, second).item() == pytest.approx(_naive_unbiased(first, second), abs=1e-12)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 3), st.integers(2, 3), kernels, st.booleans())
def test_the_loss_is_sums_one_by_one(seed, count, batch, kernel, unbiased):
    views = 2 * _draw(seed, count, batch, 3)
    loss = ssl_hsic(views, kernel=kernel, scale=0.7, weight=1.3, unbiased=unbiased)
    assert loss.item() == pytest.approx(_naive_ssl_hsic(views, kernel, 0.7, 1.3, unbiased), abs=1e-9)


@pytest.mark.parametrize("kernel", ["multiquadric", "gaussian"])
def test_derivatives_are_exact_where_rows_are_equal(kernel):
    rows = (_draw(0, 1, 3) * torch.tensor([[1.0], [1.0], [5.0]])).requires_grad_()

    def matrix(rows):
        return kernel_matrix(rows, kernel=kernel)

    assert torch.autograd.gradcheck(matrix, rows, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(matrix, rows)
    assert torch.autograd.functional.hessian(lambda rows: matrix(rows)[0, 1], rows.detach()).abs().max() > 0.01


def test_the_unbiased_estimate_is_0_on_average_for_independent_rows():
    estimates = [
        hsic(kernel_matrix(_draw(seed, 6, 3)), kernel_matrix(_draw(1000 + seed, 6, 3)), unbiased=unbiased).item()
        for unbiased in (True, False)
        for seed in range(300)
    ]
    unbiased, biased = torch.tensor(estimates).view(2, 300)
    error = unbiased.std() / math.sqrt(300)
    assert abs(unbiased.mean()) < 3 * error
    assert biased.mean() > 10 * error
    assert unbiased.min() < 0 < biased.min()


def test_dependent_rows_are_found():
    rows = _draw(0, 60, 2)
    # Twice the angle: no correlation, but full dependence.
    doubled = torch.stack([rows[:, 0].square() - rows[:, 1].square(), 2 * rows[:, 0] * rows[:, 1]], dim=1)
    dependent = hsic(kernel_matrix(rows, scale=0.3), kernel_matrix(doubled, scale=0.3))
    independent = hsic(kernel_matrix(rows, scale=0.3), kernel_matrix(_draw(1, 60, 2), scale=0.3))
    assert dependent > 5 * abs(independent)


def test_a_constant_added_to_a_kernel_changes_nothing():
    first, second = kernel_matrix(_draw(0, 6, 3)), kernel_matrix(_draw(1, 6, 3))
    for unbiased in (True, False):
        expected = hsic(first, second, unbiased=unbiased)
        torch.testing.assert_close(hsic(first + 5, second - 2, unbiased=unbiased), expected)
        torch.testing.assert_close(hsic(second, first, unbiased=unbiased), expected)


@pytest.mark.parametrize("kernel", ["multiquadric", "gaussian"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_gradients_are_those_of_finite_differences(kernel, unbiased):
    views = _draw(0, 2, 3, 4).requires_grad_()

    def loss(views):
        return ssl_hsic(views, kernel=kernel, scale=0.8, unbiased=unbiased)

    assert torch.autograd.gradcheck(loss, views, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, views)


def test_scale_and_order_do_not_matter():
    views = _draw(0, 3, 4, 5)
    for unbiased in (True, False):
        expected = ssl_hsic(views, unbiased=unbiased)
        for other in (9 * views, views.flip(0), views[:, torch.tensor([2, 0, 3, 1])], views.roll(1, 2)):
            torch.testing.assert_close(ssl_hsic(other, unbiased=unbiased), expected)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("direction", [[0.3, -2.0, 1.1], [1.0, 0.0, 0.0]], ids=["rounded", "exact"])
def test_equal_embeddings_have_loss_and_gradients_of_0(unbiased, dtype, direction):
    views = torch.tensor(direction, dtype=dtype).expand(2, 4, 3).clone().requires_grad_()
    loss = ssl_hsic(views, unbiased=unbiased)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, views, create_graph=True)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)
    assert torch.autograd.grad(gradient.square().sum(), views)[0].isfinite().all()


def test_views_that_tell_their_image_have_a_lower_loss_than_collapse_and_noise():
    apart = torch.eye(40, dtype=torch.float64).expand(2, 40, 40)
    for unbiased in (True, False):
        assert ssl_hsic(apart, unbiased=unbiased) < -0.05
        assert ssl_hsic(_draw(0, 2, 40, 40), unbiased=unbiased) > ssl_hsic(apart, unbiased=unbiased)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(4, 8), st.sampled_from([torch.float32, torch.float64]))
def test_no_estimate_of_a_variable_s_dependence_on_itself_is_negative(seed, count, dtype):
    matrix = kernel_matrix(1 + 1e-4 * _draw(seed, count, 3).to(dtype))
    assert hsic(matrix, matrix) >= 0
    assert hsic(matrix, matrix, unbiased=False) >= 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    views = _draw(0, 2, 8, 16).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ssl_hsic(views)
        matrix = kernel_matrix(views[0])
        estimate = hsic(matrix, matrix)
    assert loss.dtype == matrix.dtype == estimate.dtype == torch.float32
    assert loss.item() == pytest.approx(ssl_hsic(views.double()).item(), abs=1e-5)


def test_float32_is_close_to_float64_in_a_batch_of_many_rows():
    views = 3 + 0.3 * _draw(0, 1, 256, 64) + 0.05 * _draw(1, 4, 256, 64)
    for unbiased in (True, False):
        exact = ssl_hsic(views, unbiased=unbiased).item()
        assert ssl_hsic(views.float(), unbiased=unbiased).item() == pytest.approx(exact, abs=1e-5)


def test_nan_shows_and_zero_rows_are_equal_to_each_other():
    views = _draw(0, 2, 3, 4)
    views[:, 0] = 0
    assert ssl_hsic(views).isfinite()
    views[0, 0, 0] = math.nan
    assert ssl_hsic(views).isnan()
    assert ssl_hsic(views, unbiased=True).isnan()


def test_bad_input_is_refused():
    views = torch.ones(2, 3, 4)
    for wrong, message in (
        ({"scale": 0.0}, "scale must be a finite number above 0, got 0.0"),
        ({"scale": math.nan}, "scale must be a finite number above 0, got nan"),
        ({"weight": -1.0}, "weight must be a finite number of at least 0, got -1.0"),
        ({"weight": math.inf}, "weight must be a finite number of at least 0, got inf"),
    ):
        with pytest.raises(ValueError, match=message):
            ssl_hsic(views, **wrong)
    for shape in ((1, 3, 4), (2, 1, 4)):
        with pytest.raises(ValueError, match="with two or more of both, got"):
            ssl_hsic(torch.ones(shape))
    with pytest.raises(TypeError, match="rows must be floating-point"):
        kernel_matrix(torch.ones(3, 4).long())
    for unbiased, few in ((True, 3), (False, 1)):
        with pytest.raises(ValueError, match=f"biased estimate takes {few + 1} rows, got {few}"):
            hsic(torch.eye(few), torch.eye(few), unbiased=unbiased)
    with pytest.raises(ValueError, match=r"square and of equal shapes, got \(4, 4\) and \(5, 5\)"):
        hsic(torch.eye(4), torch.eye(5))
