from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.assignment import predicted_assignment, sinkhorn, swapped_prediction


def _draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _naive_sinkhorn(scores, smoothing, iterations):
    """Scale columns to 1/K and rows to 1/B in turn, as the paper's appendix has it, in Python's floats."""
    rows, columns = scores.shape
    matrix = [[math.exp(float(score) / smoothing) for score in row] for row in scores]
    for _ in range(iterations):
        for column in range(columns):
            total = sum(row[column] for row in matrix)
            for row in matrix:
                row[column] /= total * columns
        for row in matrix:
            total = sum(row)
            row[:] = [value / total / rows for value in row]
    return [[value * rows for value in row] for row in matrix]


def _naive_loss(first, second, temperature, smoothing, iterations):
    total = 0.0
    for asked, other in ((first, second), (second, first)):
        codes = _naive_sinkhorn(other, smoothing, iterations)
        for row, code in zip(asked, codes, strict=True):
            partition = sum(math.exp(float(score) / temperature) for score in row)
            total -= sum(
                share * (float(score) / temperature - math.log(partition))
                for share, score in zip(code, row, strict=True)
            )
    return total / (2 * len(first))


shapes = st.tuples(st.integers(1, 6), st.integers(1, 5))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), shapes, st.sampled_from([0.05, 0.5]), st.integers(1, 4))
def test_assignments_are_those_of_scaling_in_turn(seed, shape, smoothing, iterations):
    scores = _draw(seed, *shape).tanh()
    codes = sinkhorn(scores, smoothing=smoothing, iterations=iterations)
    torch.testing.assert_close(codes, torch.tensor(_naive_sinkhorn(scores, smoothing, iterations), dtype=torch.float64))
    torch.testing.assert_close(codes.sum(1), torch.ones(shape[0], dtype=torch.float64))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), shapes, st.sampled_from([0.1, 1.0]))
def test_the_loss_is_its_definition(seed, shape, temperature):
    first, second = _draw(seed, *shape).tanh(), _draw(seed + 1, *shape).tanh()
    loss = swapped_prediction(first, second, temperature=temperature, smoothing=0.1, iterations=2)
    assert loss.item() == pytest.approx(_naive_loss(first, second, temperature, 0.1, 2), abs=1e-9)
    swapped = swapped_prediction(second, first, temperature=temperature, smoothing=0.1, iterations=2)
    torch.testing.assert_close(swapped, loss)


def test_many_iterations_give_every_prototype_its_share():
    codes = sinkhorn(_draw(0, 30, 6).tanh(), smoothing=0.3, iterations=200)
    torch.testing.assert_close(codes.sum(0), torch.full((6,), 5.0, dtype=torch.float64))


def test_rows_are_assigned_to_what_they_are_like_where_shares_allow():
    scores = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    torch.testing.assert_close(sinkhorn(scores), scores, atol=1e-6, rtol=0)
    # All rows like the first prototype best: half of them, those that like the second most, go there.
    scores = torch.tensor([[1.0, 0.9], [1.0, 0.8], [1.0, 0.1], [1.0, 0.0]])
    codes = sinkhorn(scores, iterations=50)
    assert codes[:2, 1].min() > 0.9
    assert codes[2:, 0].min() > 0.9


def test_adding_to_rows_or_to_columns_changes_nothing_in_the_end():
    scores = _draw(0, 6, 4)
    expected = sinkhorn(scores, smoothing=1.0, iterations=100)
    shifted = scores + _draw(1, 6, 1) + _draw(2, 1, 4)
    torch.testing.assert_close(sinkhorn(shifted, smoothing=1.0, iterations=100), expected)


def test_equal_embeddings_have_uniform_assignments_and_no_low_loss():
    scores = _draw(0, 1, 5).tanh().expand(8, 5)
    torch.testing.assert_close(sinkhorn(scores), torch.full((8, 5), 0.2, dtype=torch.float64))
    assert swapped_prediction(scores, scores) > math.log(5)
    level = torch.zeros(8, 5, dtype=torch.float64, requires_grad=True)
    loss = swapped_prediction(level, level)
    assert loss.item() == pytest.approx(math.log(5))
    torch.testing.assert_close(torch.autograd.grad(loss, level)[0], torch.zeros(8, 5, dtype=torch.float64))


def test_gradients_are_those_of_finite_differences_with_assignments_held():
    first, second = _draw(0, 4, 3).tanh().requires_grad_(), _draw(1, 4, 3).tanh().requires_grad_()
    codes = [sinkhorn(each.detach()) for each in (second, first)]

    def held(first, second):
        parts = [
            -(code * (each / 0.1).log_softmax(1)).sum(1).mean()
            for each, code in zip((first, second), codes, strict=True)
        ]
        return sum(parts) / 2

    torch.testing.assert_close(
        torch.autograd.grad(swapped_prediction(first, second), (first, second)),
        torch.autograd.grad(held(first, second), (first, second)),
    )
    assert torch.autograd.gradcheck(sinkhorn, first, check_forward_ad=True)
    # The same forwards, and a second time.
    ones = (torch.ones_like(first), torch.ones_like(second))
    values = (first.detach(), second.detach())
    torch.testing.assert_close(torch.func.jvp(swapped_prediction, values, ones), torch.func.jvp(held, values, ones))
    hessian = torch.func.hessian(swapped_prediction)(*values)
    torch.testing.assert_close(hessian, torch.func.hessian(held)(*values))


def test_nothing_overflows_and_nan_shows():
    scores = 1000 * _draw(0, 5, 3)
    assert sinkhorn(scores, smoothing=1e-4).isfinite().all()
    assert swapped_prediction(scores, scores.flip(0), temperature=1e-3).isfinite()
    scores[0, 0] = math.nan
    assert swapped_prediction(scores, scores.flip(0)).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    first, second = _draw(0, 6, 4).tanh().to(dtype), _draw(1, 6, 4).tanh().to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss, codes = swapped_prediction(first, second), sinkhorn(first)
    assert loss.dtype == codes.dtype == torch.float32
    assert loss.item() == pytest.approx(swapped_prediction(first.double(), second.double()).item(), rel=1e-5)


def test_bad_input_is_refused():
    scores = torch.ones(3, 4)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="smoothing must be a finite number above 0, got"):
            sinkhorn(scores, smoothing=wrong)
        with pytest.raises(ValueError, match="temperature must be a finite number above 0, got"):
            swapped_prediction(scores, scores, temperature=wrong)
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        sinkhorn(scores, iterations=0)
    with pytest.raises(ValueError, match=r"first and second must have equal shapes.*\(3, 4\) and \(2, 4\)"):
        swapped_prediction(scores, scores[:2])
    with pytest.raises(TypeError, match="scores must be floating-point"):
        sinkhorn(scores.long())
    with pytest.raises(ValueError, match="scores must be"):
        sinkhorn(torch.ones(0, 4))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("iterations", [1, 3, 30])
def test_scaled_shares_are_those_of_scaled_logarithms(scale, iterations):
    scores = scale * torch.randn(12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logarithms = scores / 0.5
    for _ in range(iterations):
        logarithms = logarithms - logarithms.logsumexp(0, keepdim=True)
        logarithms = logarithms - logarithms.logsumexp(1, keepdim=True)
    torch.testing.assert_close(
        sinkhorn(scores, smoothing=0.5, iterations=iterations), logarithms.exp(), rtol=1e-9, atol=1e-12
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), shapes, st.integers(2, 5), st.integers(1, 5), st.sampled_from([0.1, 1.0]))
def test_every_view_predicts_the_assignments_of_all_others(seed, shape, views, coded, temperature):
    coded = min(coded, views)
    scores, codes = _draw(seed, views, *shape).tanh(), _draw(seed + 1, coded, *shape).softmax(2)
    total, pairs = 0.0, 0
    for source in range(coded):
        for view in range(views):
            if view != source:
                total -= float((codes[source] * (scores[view] / temperature).log_softmax(1)).sum(1).mean())
                pairs += 1
    found = predicted_assignment(scores, codes, temperature=temperature)
    assert found.item() == pytest.approx(total / pairs, abs=1e-9)


def test_small_crops_predict_both_assignments():
    first, second, *crops = _draw(0, 5, 6, 4).tanh()
    codes = torch.stack([sinkhorn(each) for each in (first, second)])
    expected = predicted_assignment(torch.stack([first, second, *crops]), codes)
    torch.testing.assert_close(swapped_prediction(first, second, local=torch.stack(crops)), expected)
    assert expected != swapped_prediction(first, second)


def test_what_does_not_fit_together_is_refused():
    scores = torch.ones(3, 4, 5)
    for codes, message in (
        (torch.ones(2, 4, 6), "got .3, 4, 5. and .2, 4, 6."),
        (torch.ones(4, 4, 5), "got 3 views and 4 assignments"),
        (torch.ones(4, 5), "codes .views with assignments"),
    ):
        with pytest.raises(ValueError, match=message):
            predicted_assignment(scores, codes)
    with pytest.raises(ValueError, match="got 1 views and 1 assignments"):
        predicted_assignment(scores[:1], scores[:1])
    with pytest.raises(TypeError, match="codes must be floating-point"):
        predicted_assignment(scores, scores.long())
    with pytest.raises(ValueError, match=r"local must be .*prototypes \(4, 3\), got shape \(3, 4, 5\)"):
        swapped_prediction(scores[0, :, :3], scores[0, :, :3], local=scores)
