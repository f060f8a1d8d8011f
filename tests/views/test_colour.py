import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.views.colour import adjust_hue, blend

reference = pytest.importorskip("torchvision.transforms.functional")

# torchvision's name of an operation -> ours.
OPERATIONS = {
    "adjust_brightness": blend,
    "adjust_contrast": lambda images, factors: blend(images, factors, average=1 - factors),
    "adjust_saturation": lambda images, factors: blend(images, factors, gray=1 - factors),
    "adjust_hue": adjust_hue,
}


def some_images(count=32, channels=3, seed=0):
    return torch.rand(count, channels, 9, 11, generator=torch.Generator().manual_seed(seed))


def awkward_images():
    """Black, white, pure colours, even grays, and pixels whose channels tie in every way."""
    levels = torch.tensor([0.0, 0.5, 1.0])
    pixels = torch.cartesian_prod(levels, levels, levels)
    return torch.cat((pixels, pixels * 1e-6, 1 - pixels * 1e-7))[:, :, None, None].expand(-1, -1, 2, 3).contiguous()


@pytest.mark.parametrize("images", [some_images(), awkward_images()], ids=["random", "awkward"])
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("adjust_brightness", 0, 2.5),
        ("adjust_contrast", 0, 2.5),
        ("adjust_saturation", 0, 2.5),
        ("adjust_hue", -0.5, 0.5),
    ],
)
def test_each_operation_agrees_with_torchvision(images, name, low, high):
    factors = torch.linspace(low, high, len(images))
    changed = OPERATIONS[name](images, factors)
    for image, factor, ours in zip(images, factors.tolist(), changed, strict=True):
        torch.testing.assert_close(ours, getattr(reference, name)(image, factor), atol=1e-5, rtol=0)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6


def test_uint8_images_agree_with_torchvision_to_one_level_of_its_rounding():
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation"):
        ours = OPERATIONS[name](images / 255, torch.full((20,), 1.3)) * 255
        theirs = getattr(reference, name)(images, 1.3).float()
        assert (ours - theirs).abs().max() < 2, name


def test_grayscale_agrees_with_torchvision():
    images = some_images()
    gray = blend(images, torch.zeros(len(images)), gray=torch.ones(len(images)))
    torch.testing.assert_close(gray, reference.rgb_to_grayscale(images, 3), atol=1e-6, rtol=0)


def test_blend_of_all_three_parts():
    images = some_images(2).double()
    scale, gray, average = torch.tensor([[0.5, 0.2, 0.25], [0.1, 0.3, 0.6]], dtype=torch.float64).T
    light = (images * torch.tensor([0.2989, 0.587, 0.114])[:, None, None].double()).sum(1, keepdim=True)
    for row in range(2):
        expected = scale[row] * images[row] + gray[row] * light[row] + average[row] * light[row].mean()
        blended = blend(images, scale, gray=gray, average=average)[row]
        torch.testing.assert_close(blended, expected.clamp(0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 5])
def test_contrast_without_three_channels_turns_about_the_mean(channels):
    images = some_images(4, channels)
    factors = torch.tensor([0.0, 0.5, 1.0, 1.7])
    mean = images.mean((1, 2, 3), keepdim=True)
    expected = (mean + factors.view(-1, 1, 1, 1) * (images - mean)).clamp(0, 1)
    torch.testing.assert_close(OPERATIONS["adjust_contrast"](images, factors), expected)


@settings(deadline=None, max_examples=40)
@given(pixel=st.tuples(*[st.floats(0, 1, width=32)] * 3), turn=st.floats(-0.5, 0.5, width=32))
def test_hue_keeps_value_and_chroma_and_comes_back(pixel, turn):
    image = torch.tensor(pixel).view(1, 3, 1, 1)
    turned = adjust_hue(image, torch.tensor([turn]))
    torch.testing.assert_close(turned.amax(), image.amax(), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned.amin(), image.amin(), atol=1e-6, rtol=0)
    torch.testing.assert_close(adjust_hue(turned, torch.tensor([-turn])), image, atol=1e-5, rtol=0)


def test_a_third_of_a_turn_exchanges_the_channels():
    images = some_images()
    turned = adjust_hue(images, torch.full((len(images),), 1 / 3))
    torch.testing.assert_close(turned, images[:, [2, 0, 1]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_those_of_finite_differences(name):
    images = (0.3 + 0.4 * some_images(2)[:, :, :2, :3]).double().requires_grad_()
    factors = torch.tensor([0.9, 1.1]).double() - (1 if name == "adjust_hue" else 0)
    assert torch.autograd.gradcheck(lambda inputs: OPERATIONS[name](inputs, factors), images)
