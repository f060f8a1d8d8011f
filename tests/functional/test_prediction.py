from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.prediction import mean_view_prediction, negative_cosine


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(prediction, target):
    """Equation 1 of SimSiam, row by row, in Python's floats."""
    total = 0.0
    for first, second in zip(prediction.tolist(), target.tolist(), strict=True):
        product = sum(a * b for a, b in zip(first, second, strict=True))
        total -= product / math.sqrt(sum(a * a for a in first)) / math.sqrt(sum(b * b for b in second))
    return total / len(prediction)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_it_equals_its_definition_and_byol_s_squared_distance(batch, features, seed):
    prediction, target = draw(seed, 2, batch, features)
    value = negative_cosine(prediction, target)
    assert value.item() == pytest.approx(naive(prediction, target), abs=1e-12)
    distances = [
        sum((a / first.norm() - b / second.norm()) ** 2 for a, b in zip(first, second, strict=True))
        for first, second in zip(prediction, target, strict=True)
    ]
    assert 2 + 2 * value.item() == pytest.approx(float(sum(distances)) / batch, abs=1e-12)


def test_known_answers():
    rows = draw(0, 5, 3)
    assert negative_cosine(rows, 7 * rows).item() == pytest.approx(-1, abs=1e-12)
    assert negative_cosine(rows, -rows).item() == pytest.approx(1, abs=1e-12)
    assert negative_cosine(torch.eye(4), torch.eye(4).roll(1, 0)).item() == 0
    # Equal rows are at the best value: the loss does not see collapse.
    assert negative_cosine(torch.ones(4, 3), torch.ones(4, 3)).item() == pytest.approx(-1)


def test_invariances():
    prediction, target = draw(1, 2, 6, 4).requires_grad_()
    value = negative_cosine(prediction, target)
    rotation, _ = torch.linalg.qr(draw(2, 4, 4))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    for other in (
        negative_cosine(target, prediction),
        negative_cosine(prediction @ rotation, target @ rotation),
        negative_cosine(prediction * draw(3, 6, 1).abs(), target * 1e200),
        negative_cosine(prediction * 1e-200, target),
        negative_cosine(prediction[order], target[order]),
    ):
        torch.testing.assert_close(other, value, rtol=0, atol=1e-12)
    # Only directions count.
    (gradient,) = torch.autograd.grad(value, prediction)
    torch.testing.assert_close((prediction * gradient).sum(1), torch.zeros(6).double(), rtol=0, atol=1e-12)


def test_it_is_differentiated_exactly_twice_and_forwards_to_both():
    pair = draw(4, 2, 5, 3).requires_grad_()
    value = lambda both: negative_cosine(both[0], both[1])  # noqa: E731
    assert torch.autograd.gradcheck(value, (pair,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(value, (pair,))
    assert torch.autograd.grad(value(pair), pair)[0].abs().amax((1, 2)).min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_and_autocast(dtype):
    pair = draw(5, 2, 7, 16).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = negative_cosine(pair[0], pair[1])
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(naive(*pair.detach().double()), abs=1e-6)
    assert pair.grad.isfinite().all()


def test_zeros_have_no_similarity_and_what_is_not_finite_gives_nan():
    prediction, target = draw(6, 2, 2, 3)
    prediction[0] = 0
    prediction.requires_grad_()
    value = negative_cosine(prediction, target)
    assert value.item() == pytest.approx(naive(prediction.detach()[1:], target[1:]) / 2)
    value.backward()
    assert prediction.grad.isfinite().all()
    for bad in (torch.nan, torch.inf):
        assert negative_cosine(torch.full((2, 3), bad), torch.ones(2, 3)).isnan()


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"equal shapes.*got \(3, 4\) and \(2, 4\)"):
        negative_cosine(torch.ones(3, 4), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"got shape \(0, 4\)"):
        negative_cosine(torch.ones(0, 4), torch.ones(0, 4))
    with pytest.raises(TypeError, match=r"target must be floating-point, got torch.int64"):
        negative_cosine(torch.ones(3, 4), torch.ones(3, 4).long())


@pytest.mark.parametrize("predicted", [1, 2, 4])
def test_views_are_compared_with_the_mean_of_the_first_ones(predicted):
    views = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = 0.0
    for sample in range(3):
        mean = sum(views[view, sample] for view in range(predicted)) / predicted
        total += sum(float((views[view, sample] - mean).square().sum()) for view in range(4))
    assert mean_view_prediction(views, predicted=predicted).item() == pytest.approx(total / (4 * 3 * 5))


def test_the_mean_of_views_gets_a_gradient_and_equal_views_have_none():
    views = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda each: mean_view_prediction(each, predicted=2), views, check_forward_ad=True)
    same = torch.ones(3, 4, 2, requires_grad=True)
    loss = mean_view_prediction(same, predicted=2)
    loss.backward()
    assert (loss.item(), same.grad.any().item()) == (0, False)


def test_views_that_are_none_are_refused():
    views = torch.ones(3, 4, 2)
    for predicted in (0, 4):
        with pytest.raises(ValueError, match=f"predicted must be from 1 to the number of views, 3, got {predicted}"):
            mean_view_prediction(views, predicted=predicted)
    with pytest.raises(ValueError, match=r"views must be .*views, batch, features"):
        mean_view_prediction(views[0], predicted=1)
    with pytest.raises(TypeError, match="views must be floating-point"):
        mean_view_prediction(views.long(), predicted=1)
