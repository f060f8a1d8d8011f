import pytest
import torch

from unconfound.views import gaussian_blur

reference = pytest.importorskip("torchvision.transforms.functional")


@pytest.mark.parametrize(("height", "width", "kernel"), [(12, 9, 3), (5, 30, 9), (32, 32, 23), (2, 2, 3)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_blur_agrees_with_torchvision(height, width, kernel, channels):
    images = torch.rand(8, channels, height, width, generator=torch.Generator().manual_seed(0))
    sigma = torch.linspace(0.1, 2, 8)
    blurred = gaussian_blur(images, sigma, kernel=kernel)
    for image, width_of_one, ours in zip(images, sigma.tolist(), blurred, strict=True):
        expected = reference.gaussian_blur(image, [kernel, kernel], [width_of_one] * 2)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_very_small_sigma_leaves_the_image_as_it_is():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gaussian_blur(images, torch.full((2,), 1e-6), kernel=3), images)


def test_an_even_image_stays_even():
    images = torch.full((3, 3, 7, 7), 0.3)
    torch.testing.assert_close(gaussian_blur(images, torch.tensor([0.1, 1.0, 2.0]), kernel=5), images)


@pytest.mark.parametrize("kernel", [0, 2, 9, -3])
def test_a_kernel_that_cannot_be_used_is_refused(kernel):
    with pytest.raises(ValueError, match=rf"kernel is {kernel}: it must be odd, positive and less than twice"):
        gaussian_blur(torch.rand(1, 3, 4, 8), torch.ones(1), kernel=kernel)
