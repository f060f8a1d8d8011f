from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.functional.mixing import binary_mix, geometric_mix, linear_mix

values = st.floats(0, 1, width=32)
weights = st.floats(0, 1, width=32)


def _pair(batch=5, features=7, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x, partner = torch.rand(2, batch, features, generator=generator, dtype=dtype)
    x[0, :2] = partner[1, :2] = 0
    return x, partner, torch.rand(batch, generator=generator, dtype=dtype)


def _naive(x, partner, weight, mean):
    return torch.tensor(
        [
            [mean(float(a), float(b), float(w)) for a, b in zip(row, other, strict=True)]
            for row, other, w in zip(x, partner, weight, strict=True)
        ],
        dtype=x.dtype,
    )


def test_a_linear_mix_is_the_weighted_mean():
    x, partner, weight = _pair()
    expected = _naive(x, partner, weight, lambda a, b, w: w * a + (1 - w) * b)
    torch.testing.assert_close(linear_mix(x, partner, weight), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("floor", [0.0, 1 / 255, 0.3])
def test_a_geometric_mix_is_the_weighted_geometric_mean(floor):
    x, partner, weight = _pair()
    expected = _naive(x, partner, weight, lambda a, b, w: max(a, floor) ** w * max(b, floor) ** (1 - w))
    torch.testing.assert_close(geometric_mix(x, partner, weight, floor=floor), expected, rtol=0, atol=1e-14)


def test_a_binary_mix_takes_each_value_from_one_of_both():
    x, partner, weight = _pair()
    keep = torch.rand(x.shape) < weight[:, None]
    expected = torch.tensor(
        [[float(a if k else b) for a, b, k in zip(*rows, strict=True)] for rows in zip(x, partner, keep, strict=True)],
        dtype=x.dtype,
    )
    assert torch.equal(binary_mix(x, partner, keep), expected)


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3, 3), (4,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_weight_a_sample_whatever_the_samples_shape(shape, dtype):
    x, partner = torch.rand(2, *shape).to(dtype)
    weight = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=dtype)
    for mix in (linear_mix, geometric_mix):
        mixed = mix(x, partner, weight)
        assert mixed.dtype == dtype
        assert mixed.shape == x.shape
        for row, share in enumerate(weight.tolist()):
            torch.testing.assert_close(mixed[row : row + 1], mix(x[row : row + 1], partner[row : row + 1], share))


@given(x=st.lists(values, min_size=1, max_size=6), partner=values)
def test_weight_1_returns_the_sample_bit_for_bit(x, partner):
    x = torch.tensor([x])
    other = torch.full_like(x, partner)
    for weight in (1.0, torch.ones(1)):
        assert torch.equal(linear_mix(x, other, weight), x)
        for floor in (0.0, 1 / 255, 0.5):
            assert torch.equal(geometric_mix(x, other, weight, floor=floor), x)
    assert torch.equal(binary_mix(x, other, torch.ones_like(x, dtype=torch.bool)), x)


@given(a=values, b=values, weight=weights)
def test_both_means_lie_between_the_pair_and_the_geometric_one_lower(a, b, weight):
    x, partner = torch.tensor([[a]]).double(), torch.tensor([[b]]).double()
    linear, geometric = linear_mix(x, partner, weight).item(), geometric_mix(x, partner, weight, floor=0).item()
    for mixed in (linear, geometric):
        assert min(a, b) - 1e-12 <= mixed <= max(a, b) + 1e-12
    assert geometric <= linear + 1e-12


def test_mixing_equal_rows_returns_the_row():
    x, _, weight = _pair()
    torch.testing.assert_close(linear_mix(x, x, weight), x, rtol=0, atol=1e-15)
    torch.testing.assert_close(geometric_mix(x, x, weight, floor=0), x, rtol=0, atol=1e-14)
    assert torch.equal(binary_mix(x, x, torch.rand(x.shape) < 0.5), x)


def test_the_literal_geometric_mix_with_a_zero_is_zero_and_the_floor_lifts_it():
    x, partner = torch.tensor([[0.0, 0.8, 0.0]]), torch.tensor([[0.9, 0.0, 0.0]])
    assert torch.equal(geometric_mix(x, partner, 0.9, floor=0), torch.zeros(1, 3))
    lifted = geometric_mix(x, partner, 0.9)
    assert lifted[0, 1].item() == pytest.approx(0.8**0.9 * (1 / 255) ** 0.1, rel=1e-5)
    # 0^0 is 1: with no share of its own, a 0 does not count.
    assert geometric_mix(x, partner, 0.0, floor=0)[0, 0].item() == pytest.approx(0.9)


def test_linear_commutes_with_affine_maps_and_binary_inputs_stay_binary():
    x, partner, weight = _pair()
    torch.testing.assert_close(
        linear_mix(3 * x - 2, 3 * partner - 2, weight), 3 * linear_mix(x, partner, weight) - 2, rtol=0, atol=1e-14
    )
    keep = torch.rand(x.shape) < 0.9
    assert set(binary_mix((x > 0.5).double(), (partner > 0.5).double(), keep).unique().tolist()) <= {0.0, 1.0}


def test_gradients_reach_the_sample_and_the_partner_but_not_the_weight():
    x, partner, weight = _pair(3, 4)
    x, partner = (x + 0.1).requires_grad_(), (partner + 0.1).requires_grad_()
    weight = weight.requires_grad_()
    keep = torch.rand(x.shape) < 0.5
    assert torch.autograd.gradcheck(lambda a, b: linear_mix(a, b, weight), (x, partner))
    assert torch.autograd.gradcheck(lambda a, b: geometric_mix(a, b, weight), (x, partner))
    assert torch.autograd.gradcheck(lambda a, b: binary_mix(a, b, keep), (x, partner))
    linear_mix(x, partner, weight).sum().backward()
    assert weight.grad is None
    torch.testing.assert_close(partner.grad, (1 - weight.detach())[:, None].expand_as(partner))


def test_the_result_goes_where_out_says():
    x, partner, weight = _pair()
    keep = torch.rand(x.shape) < 0.5
    for mix, how in ((linear_mix, weight), (geometric_mix, weight), (binary_mix, keep)):
        out = torch.empty(2 * len(x), x.shape[1], dtype=x.dtype)[: len(x)]
        assert mix(x, partner, how, out=out).data_ptr() == out.data_ptr()
        assert torch.equal(out, mix(x, partner, how))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, p: linear_mix(x, p, 1.01), r"weights must be in \[0, 1\], got 1.01 to 1.01"),
        (lambda x, p: linear_mix(x, p, torch.tensor([0.5, -0.1])), r"weights must be in \[0, 1\], got -0.1 to 0.5"),
        (lambda x, p: geometric_mix(x, p, math.nan), r"weights must be in \[0, 1\], got nan"),
        (lambda x, p: linear_mix(x, p, torch.ones(3)), r"one a sample \[2\], got shape \(3,\)"),
        (lambda x, p: linear_mix(x, p[:, :2], 0.5), r"of one shape, got \(2, 3\) and \(2, 2\)"),
        (lambda x, p: geometric_mix(x, p[:1], 0.5), r"of one shape, got \(2, 3\) and \(1, 3\)"),
        (lambda x, p: binary_mix(x, p[:1], p > 0), r"of one shape, got \(2, 3\) and \(1, 3\)"),
        (
            lambda x, p: binary_mix(x, p, torch.ones(2, dtype=torch.bool)),
            "keep must be of the samples' shape",
        ),
        (lambda x, p: geometric_mix(x - 1, p, 0.5), "values of at least 0, x goes down to -1: scale"),
        (lambda x, p: geometric_mix(x, p - 2, 0.5), "values of at least 0, partner goes down to -2: scale"),
        (lambda x, p: geometric_mix(x, p, 0.5, floor=-1), "floor must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_mixed_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 3), torch.zeros(2, 3))


def test_trusted_weights_give_the_same_mix_and_values_are_still_looked_at():
    x, partner, weight = _pair()
    for mix in (linear_mix, geometric_mix):
        assert torch.equal(mix(x, partner, weight, checked=False), mix(x, partner, weight))
    with pytest.raises(ValueError, match="values of at least 0, partner goes down to"):
        geometric_mix(x, partner - 2, weight, checked=False)


def test_no_samples_are_no_mistake():
    nothing = torch.empty(0, 3)
    assert linear_mix(nothing, nothing, torch.empty(0)).shape == (0, 3)
    assert geometric_mix(nothing, nothing, 0.5).shape == (0, 3)
