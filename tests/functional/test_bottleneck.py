from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from unconfound.functional.bottleneck import gaussian_kl


def _rows(seed, batch=4, features=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, features, generator=generator, dtype=dtype) for _ in range(2))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 6))
def test_it_is_the_sum_of_the_divergences_of_the_features(seed, batch, features):
    mean, deviation = _rows(seed, batch, features)
    deviation = deviation.abs() + 1e-3
    expected = [
        sum(
            0.5 * (m * m + s * s - 1 - math.log(s * s))
            for m, s in zip(means.tolist(), deviations.tolist(), strict=True)
        )
        for means, deviations in zip(mean, deviation, strict=True)
    ]
    assert gaussian_kl(mean, deviation).tolist() == pytest.approx(expected, rel=1e-10)
    theirs = kl_divergence(Normal(mean, deviation), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, deviation), theirs)
    assert (gaussian_kl(mean, deviation) >= -1e-12).all()
    torch.testing.assert_close(gaussian_kl(-mean, -deviation), theirs)


def test_known_answers():
    zeros, ones = torch.zeros(2, 5), torch.ones(2, 5)
    assert gaussian_kl(zeros, ones).tolist() == [0, 0]
    assert gaussian_kl(ones, ones).tolist() == [2.5, 2.5]
    # log 87.3: no number is smaller than tiny.
    assert gaussian_kl(torch.zeros(1, 1), torch.zeros(1, 1)).item() == pytest.approx(86.8365, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_deviation_of_0_stays_finite_and_has_a_finite_gradient(dtype):
    mean = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    deviation = torch.tensor([[0.0, 1e-7, 1.0]] * 2, dtype=dtype, requires_grad=True)
    total = gaussian_kl(mean, deviation)
    assert total.dtype == torch.promote_types(dtype, torch.float32)
    total.sum().backward()
    assert total.isfinite().all()
    assert mean.grad.isfinite().all()
    # Of 1e-7 it is -1e7, which half precision cannot hold.
    assert deviation.grad[:, [0, 2]].isfinite().all()
    assert (deviation.grad[:, 0] == 0).all()


def test_gradients():
    mean, deviation = _rows(1)
    deviation = deviation.abs() + 0.1
    assert torch.autograd.gradcheck(gaussian_kl, (mean.requires_grad_(), deviation.requires_grad_()))


def test_half_precision_and_autocast_are_taken_in_float32():
    mean, deviation = _rows(2, dtype=torch.float32)
    expected = gaussian_kl(mean, deviation)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(gaussian_kl(mean, deviation), expected, rtol=0, atol=0)
    torch.testing.assert_close(gaussian_kl(mean.half(), deviation.half()), expected, rtol=1e-2, atol=1e-2)
    assert gaussian_kl(torch.full((1, 1), 1000.0).half(), torch.ones(1, 1).half()).item() == 500_000


def test_what_is_no_number_stays_in_its_row():
    mean, deviation = _rows(3)
    mean[1, 0] = math.nan
    assert gaussian_kl(mean, deviation).isnan().tolist() == [False, True, False, False]


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must both be \[batch, features\], got shapes \(2, 3\) and \(2, 4\)"):
        gaussian_kl(torch.zeros(2, 3), torch.ones(2, 4))
