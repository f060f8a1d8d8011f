from itertools import permutations

import pytest
import torch
from scipy.stats import chisquare, kstest

from unconfound.views.jitter import allowed_operations, apply_jitter, hue_position, plan_jitter, random_jitter

reference = pytest.importorskip("torchvision.transforms.functional")
OPERATIONS = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")


def colour_jitter(images, factors, order):
    active = allowed_operations((True,) * 4, images.shape[1])
    return apply_jitter(images, plan_jitter(factors, order.argsort(1), active))


def one_by_one(image, factors, order, active=(0, 1, 2, 3)):
    for operation in order:
        if operation in active:
            image = getattr(reference, OPERATIONS[operation])(image, factors[operation])
    return image


def all_orders(seed=0):
    generator = torch.Generator().manual_seed(seed)
    order = torch.tensor(list(permutations(range(4))))
    images = torch.rand(24, 3, 10, 8, generator=generator)
    factors = 2 * torch.rand(24, 4, generator=generator)
    factors[:, 3] = factors[:, 3] / 2 - 0.5
    return images, factors, order


def test_every_order_agrees_with_torchvision():
    images, factors, order = all_orders()
    jittered = colour_jitter(images, factors, order)
    for row in range(24):
        expected = one_by_one(images[row], factors[row].tolist(), order[row].tolist())
        torch.testing.assert_close(jittered[row], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("active", [(0,), (3,), (1, 3), (0, 2), (0, 1, 2), (0, 2, 3)])
def test_operations_that_are_not_active_are_left_out(active):
    images, factors, order = all_orders(1)
    jittered = apply_jitter(images, plan_jitter(factors, order.argsort(1), active))
    for row in range(24):
        expected = one_by_one(images[row], factors[row].tolist(), order[row].tolist(), active)
        torch.testing.assert_close(jittered[row], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("active", [(3,), (0, 3), (0, 1, 2), (0, 1, 2, 3)])
def test_images_of_one_hue_position_need_fewer_passes_for_the_same_result(active):
    images, factors, order = all_orders(2)
    keys = order.argsort(1)
    together = apply_jitter(images, plan_jitter(factors, keys, active))
    positions = hue_position(keys, active)
    for row in range(24):
        plan = plan_jitter(factors, keys, active)
        alone = apply_jitter(images[row : row + 1], plan, rows=slice(row, row + 1), position=int(positions[row]))
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 5])
def test_without_three_channels_only_brightness_and_contrast(channels):
    images = torch.rand(4, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([[1.2, 0.7, 0.1, 0.3]]).expand(4, 4).contiguous()
    bright_first = colour_jitter(images, factors, torch.tensor([[0, 1, 2, 3]] * 4))
    bright = (images * 1.2).clamp(0, 1)
    mean = bright.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(bright_first, (mean + 0.7 * (bright - mean)).clamp(0, 1))
    assert not torch.allclose(bright_first, colour_jitter(images, factors, torch.tensor([[1, 0, 2, 3]] * 4)))


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_even_gray_images_stay_even_and_gray(level):
    _, factors, order = all_orders(3)
    jittered = colour_jitter(torch.full((24, 3, 5, 5), level), factors, order)
    assert jittered.isfinite().all()
    assert (jittered - jittered[:, :1, :1, :1]).abs().max() < 1e-6


def test_factors_and_orders_are_distributed_as_their_options_say():
    numbers = torch.rand(6000, 9, generator=torch.Generator().manual_seed(0))
    strengths = (0.4, 1.5, 0.2, 0.1)
    factors, keys = random_jitter(numbers, strengths=strengths, probability=0.7)
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0])
    jittered = (factors != neutral).any(1)
    assert abs(jittered.double().mean() - 0.7) < 0.02
    for operation, (low, high) in enumerate([(0.6, 1.4), (0.0, 2.5), (0.8, 1.2), (-0.1, 0.1)]):
        drawn = factors[jittered, operation].double()
        assert kstest(drawn, "uniform", args=(low, high - low)).pvalue > 0.01
    counts = torch.unique(keys.argsort(1), dim=0, return_counts=True)[1]
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > 0.01
