from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional import weighted_similarity as engine
from unconfound.functional.pyramid import pyramid_of
from unconfound.functional.ssim import ms_ssim

MODES = ("relu", "clamp", "shift")
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def draw(seed, *shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def related(seed, *shape, share=0.5, dtype=torch.float64):
    first, second = draw(seed, *shape, dtype=dtype), draw(seed + 1, *shape, dtype=dtype)
    return first, (1 - share) * first + share * second


def naive_plane(first, second, window, scales, *, negative, data_range):
    """Section 5 of the specification: one full window at every position of one channel."""
    taps = np.array([math.exp(-((k - window // 2) ** 2) / 4.5) for k in range(window)])
    gaussian = np.outer(taps, taps) / taps.sum() ** 2
    low, high = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    value = 1.0
    for scale in range(scales):
        terms = []
        for y in range(first.shape[0] - window + 1):
            for x in range(first.shape[1] - window + 1):
                a, b = (image[y : y + window, x : x + window] for image in (first, second))
                mean_a, mean_b = (gaussian * a).sum(), (gaussian * b).sum()
                covariance = (gaussian * (a - mean_a) * (b - mean_b)).sum()
                variances = (gaussian * (a - mean_a) ** 2).sum() + (gaussian * (b - mean_b) ** 2).sum()
                term = (2 * covariance + high) / (variances + high)
                if scale == scales - 1:
                    term *= (2 * mean_a * mean_b + low) / (mean_a**2 + mean_b**2 + low)
                terms.append(term)
        average = sum(terms) / len(terms)
        base = {"relu": max(average, 0), "clamp": max(average, 1e-3), "shift": (1 + average) / 2}[negative]
        value *= base ** (WEIGHTS[scale] / (sum(WEIGHTS[:scales]) if scales < 5 else 1))
        first, second = (
            np.array(
                [
                    [image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(image.shape[1] // 2)]
                    for y in range(image.shape[0] // 2)
                ]
            )
            for image in (first, second)
        )
    return value


def naive(first, second, window, scales, *, negative="relu", data_range=1.0):
    planes = [
        [
            naive_plane(a, b, window, scales, negative=negative, data_range=data_range)
            for a, b in zip(*pair, strict=True)
        ]
        for pair in zip(first.numpy(), second.numpy(), strict=True)
    ]
    return torch.tensor(planes, dtype=torch.float64).mean(1)


@settings(deadline=None, max_examples=20)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 3),
    height=st.integers(7, 15),
    width=st.integers(7, 15),
    window=st.sampled_from([3, 5, 7]),
    negative=st.sampled_from(MODES),
    share=st.floats(0, 1),
    data_range=st.sampled_from([0.5, 1.0, 255.0]),
    seed=st.integers(0, 1000),
)
def test_equals_its_definition(*, batch, channels, height, width, window, negative, share, data_range, seed):
    first, second = (data_range * each for each in related(seed, batch, channels, height, width, share=share))
    scales = 1 + int(math.log2(min(height, width) / window))
    expected = naive(first, second, window, scales, negative=negative, data_range=data_range)
    value = ms_ssim(first, second, data_range=data_range, window_size=window, negative=negative)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)


def test_default_window_and_scales_equal_their_definition():
    first, second = related(0, 1, 1, 28, 33)
    torch.testing.assert_close(ms_ssim(first, second), naive(first, second, 7, 3), rtol=0, atol=1e-10)
    torch.testing.assert_close(ms_ssim(first, second, scales=1), naive(first, second, 7, 1), rtol=0, atol=1e-10)


@pytest.mark.parametrize("window", [7, 11])
def test_agrees_with_pytorch_msssim(window):
    peer = pytest.importorskip("pytorch_msssim")
    for share in (0.1, 0.5):
        first, second = related(3, 2, 3, 256, 256, share=share, dtype=torch.float32)
        expected = peer.ms_ssim(first, second, data_range=1, size_average=False, win_size=window)
        torch.testing.assert_close(ms_ssim(first, second, window_size=window), expected, rtol=0, atol=1e-5)
        expected = peer.ssim(first, second, data_range=1, size_average=False, win_size=window)
        torch.testing.assert_close(ms_ssim(first, second, window_size=window, scales=1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "window", "weights"),
    [
        (7, 7, (1,)),
        (14, 7, (0.1356, 0.8644)),
        (28, 7, (0.0711, 0.4530, 0.4760)),
        (32, 7, (0.0711, 0.4530, 0.4760)),
        (63, 7, (0.0517, 0.3295, 0.3462, 0.2726)),
        (64, 11, (0.0711, 0.4530, 0.4760)),
        (96, 11, (0.0517, 0.3295, 0.3462, 0.2726)),
        (128, 11, (0.0517, 0.3295, 0.3462, 0.2726)),
        (175, 11, (0.0517, 0.3295, 0.3462, 0.2726)),
        (176, 11, WEIGHTS),
        (224, 11, WEIGHTS),
        (4096, 11, WEIGHTS),
    ],
)
def test_window_and_scales_follow_the_shorter_side(side, window, weights):
    pyramid = pyramid_of(torch.empty(1, 1, side, side + 50), 1.0, None, None, "relu")
    assert len(pyramid.window) == window
    assert pyramid.weights == pytest.approx(weights, abs=1e-4)
    if weights == WEIGHTS:
        assert pyramid.weights == WEIGHTS  # as printed, which sum to 1.0001
    else:
        assert sum(pyramid.weights) == pytest.approx(1, abs=1e-12)
    assert sum(pyramid.window) == pytest.approx(1)


@pytest.mark.parametrize("negative", MODES)
def test_equal_images_have_1(negative):
    for side in (28, 33, 64):
        images = draw(0, 2, 3, side, side, dtype=torch.float32)
        torch.testing.assert_close(ms_ssim(images, images, negative=negative), torch.ones(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("negative", MODES)
def test_is_symmetric_and_in_the_unit_interval(negative):
    first, second = draw(1, 20, 1, 16, 16), draw(2, 20, 1, 16, 16)
    values = ms_ssim(first, second, negative=negative)
    assert 0 <= values.min() <= values.max() <= 1
    torch.testing.assert_close(values, ms_ssim(second, first, negative=negative))


def test_inverted_images():
    images = draw(0, 2, 3, 32, 32)
    assert ms_ssim(images, 1 - images).eq(0).all()
    assert ms_ssim(images, 1 - images, negative="clamp").gt(0).all()


def test_constant_images():
    first, second = torch.full((1, 3, 29, 32), 0.3), torch.full((1, 3, 29, 32), 0.7)
    assert ms_ssim(first, second).item() == pytest.approx(0.857616, abs=1e-5)
    expected = ((2 * 0.21 + 1e-4) / (0.09 + 0.49 + 1e-4)) ** (0.3001 / sum(WEIGHTS[:3]))
    assert ms_ssim(first.double(), second.double()).item() == pytest.approx(expected, abs=1e-6)


def test_scaled_images_where_the_constants_vanish():
    images = draw(0, 1, 2, 32, 32)
    value = ms_ssim(images, 0.5 * images, data_range=1e-9)
    torch.testing.assert_close(value, torch.full_like(value, 0.719389), rtol=0, atol=1e-6)


def test_flips_and_channel_order_do_not_matter():
    first, second = related(5, 2, 3, 32, 40)
    value = ms_ssim(first, second)
    for change in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.transpose(2, 3), lambda x: x[:, [2, 0, 1]]):
        torch.testing.assert_close(ms_ssim(change(first), change(second)), value)


def test_memory_format_and_chunks_do_not_matter(monkeypatch):
    first, second = related(6, 3, 3, 28, 30)
    whole = ms_ssim(first, second)
    torch.testing.assert_close(ms_ssim(first.to(memory_format=torch.channels_last), second), whole)
    for planes in (0, 2, 4):
        monkeypatch.setattr(engine, "_CHUNK_ELEMENTS_CPU", planes * 28 * 30)
        torch.testing.assert_close(ms_ssim(first, second), whole)


@pytest.mark.parametrize("negative", MODES)
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_gradients_of_both_sides(negative, share, monkeypatch):
    monkeypatch.setattr(engine, "_CHUNK_ELEMENTS_CPU", 3 * 14 * 17)
    first, second = (each.requires_grad_() for each in related(7, 2, 2, 14, 17, share=share))

    def value(first, second):
        return ms_ssim(first, second, window_size=3, scales=3, negative=negative)

    assert torch.autograd.gradcheck(value, (first, second), fast_mode=True)
    assert torch.autograd.gradcheck(value, (first.detach(), second), fast_mode=True)
    with torch.no_grad():
        torch.testing.assert_close(value(first, second), value(first.detach(), second.detach()))


@pytest.mark.parametrize("negative", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", ["unrelated", "flat", "inverted", "dark", "nearly dark", "black"])
def test_gradients_are_finite(negative, dtype, kind):
    other = draw(8, 4, 1, 32, 32, dtype=torch.float32)
    images = {
        "unrelated": draw(9, 4, 1, 32, 32, dtype=torch.float32),
        "flat": torch.full_like(other, 0.5),
        "inverted": 1 - other,
        "dark": 1e-3 * other,
        "nearly dark": 1e-7 * other,
        "black": 0 * other,
    }[kind]
    images = images.to(dtype).requires_grad_()
    values = ms_ssim(images, other.to(dtype), negative=negative)
    assert values.dtype == torch.float32
    values.sum().backward()
    assert images.grad.dtype == dtype
    assert values.isfinite().all()
    assert images.grad.isfinite().all()
    if negative == "shift":
        assert images.grad.ne(0).any()
    if negative == "relu":
        assert images.grad[values == 0].eq(0).all()


def test_an_average_near_0_has_a_finite_slope():
    averages = torch.tensor([0.0, 1e-38, 1e-20, 1e-6]).view(1, 1, 4).expand(2, 1, 4)
    pyramid = pyramid_of(torch.empty(1, 1, 14, 14), 1.0, None, None, "relu")
    values, slopes = engine._product(averages, pyramid)
    assert values[0, 0] == 0
    assert values[0, 1:].gt(0).all()
    assert slopes.isfinite().all()


def test_variances_survive_a_bright_low_contrast_image():
    exact = 0.9 + 1e-3 * draw(10, 1, 1, 32, 32)
    other = 0.9 + 1e-3 * draw(11, 1, 1, 32, 32)
    torch.testing.assert_close(ms_ssim(exact.float(), other.float()), ms_ssim(exact, other).float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    first, second = related(12, 2, 3, 32, 32, dtype=torch.float32)
    expected = ms_ssim(first, second)
    with torch.autocast("cpu", dtype):
        value = ms_ssim(first, second)
        half = ms_ssim(first.to(dtype), second)
    torch.testing.assert_close(value, expected)
    assert half.dtype == torch.float32
    assert ms_ssim(first.double(), second).dtype == torch.float64


def test_convolutions_of_other_devices_equal_the_sums_of_this_one():
    maps, (pyramid) = draw(13, 3, 4, 17, 19), pyramid_of(torch.empty(1, 1, 14, 14), 1.0, 5, 1, "relu")
    torch.testing.assert_close(engine._convolve(maps, pyramid.window, padding=0), engine._blur(maps, pyramid))
    expected = engine._blur_backwards(maps, pyramid)
    torch.testing.assert_close(engine._convolve(maps, pyramid.window, padding=4), expected)
    other = draw(14, *expected.shape)
    torch.testing.assert_close((other * expected).sum(), (engine._blur(other, pyramid) * maps).sum())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu_even_where_tf32_is_allowed():
    first, second = related(15, 4, 3, 64, 64, dtype=torch.float32)
    first.requires_grad_()
    there = first.detach().cuda().requires_grad_()
    torch.set_float32_matmul_precision("high")
    try:
        values = ms_ssim(there, second.cuda())
        values.sum().backward()
    finally:
        torch.set_float32_matmul_precision("highest")
    expected = ms_ssim(first, second)
    expected.sum().backward()
    torch.testing.assert_close(values.cpu(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(there.grad.cpu(), first.grad, rtol=1e-3, atol=1e-6)


def test_second_derivatives_raise():
    first, second = related(16, 1, 1, 14, 14)
    first.requires_grad_()
    (gradient,) = torch.autograd.grad(ms_ssim(first, second).sum(), first, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


def test_torch_func_has_the_same_gradient():
    first, second = related(17, 2, 1, 14, 14)
    gradient = torch.func.grad(lambda images: ms_ssim(images, second).sum())(first)
    first.requires_grad_()
    torch.testing.assert_close(gradient, *torch.autograd.grad(ms_ssim(first, second).sum(), first))


def test_nan_is_not_hidden():
    first, second = related(18, 2, 1, 14, 14)
    first[0, 0, 5, 5] = math.nan
    for negative in MODES:
        values = ms_ssim(first, second, negative=negative)
        assert values.isnan().tolist() == [True, False]


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input():
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(TypeError, match=r"first must be floating-point, got torch.uint8: divide by 255"):
        ms_ssim((255 * images).to(torch.uint8), images)
    for wrong in (images[0], images[:0]):
        with pytest.raises(ValueError, match=r"must be .batch, channels, height, width. with at least one of each"):
            ms_ssim(wrong, wrong)
    with pytest.raises(ValueError, match="equal shapes, got"):
        ms_ssim(images, images[:1])
    for value in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="data_range must be a finite number above 0"):
            ms_ssim(images, images, data_range=value)
    for value in (1, 4, -3):
        with pytest.raises(ValueError, match=f"window_size must be odd and at least 3, got {value}"):
            ms_ssim(images, images, window_size=value)
    for value in (0, 6):
        with pytest.raises(ValueError, match=f"scales must be 1 to 5, got {value}"):
            ms_ssim(images, images, scales=value)
    with pytest.raises(ValueError, match="negative must be relu, clamp or shift, got 'abs'"):
        ms_ssim(images, images, negative="abs")
    narrow = images[..., :6]
    with pytest.raises(
        ValueError, match=r"shorter side of images is 6 px, below the window of 7: choose an odd window"
    ):
        ms_ssim(narrow, narrow)
    assert ms_ssim(narrow, narrow, window_size=5).shape == (2,)
    with pytest.raises(ValueError, match=r"below the window of 7: enlarge the images"):
        ms_ssim(images[..., :2], images[..., :2])
    with pytest.raises(
        ValueError, match=r"4 scales of a window of 7 need a shorter side of 56 px, got 32: take scales=3"
    ):
        ms_ssim(images, images, scales=4)
