"""Gaussian blur of a batch, with a width for every image."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(
    images: Float[Tensor, "batch channels height width"],
    sigma: Float[Tensor, " batch"],
    *,
    kernel: int,
) -> Float[Tensor, "batch channels height width"]:
    """Blur each image with its own Gaussian, reflecting the image at its borders.

    Agrees with torchvision's `gaussian_blur` within 1e-5 for images in [0, 1]. It is separable, and each direction is a
    batched product with banded matrices, which is faster than one small convolution an image.

    Args:
        images: float.
        sigma: standard deviation of the Gaussian in pixels; a very small one (1e-6) leaves the image as it is.
        kernel: side of the window in pixels, odd and less than twice the image's sides.

    Raises:
        ValueError: `kernel` is even, or too large to reflect the image.
    """
    height, width = images.shape[2:]
    if kernel < 1 or kernel % 2 == 0 or kernel // 2 >= min(height, width):
        raise ValueError(
            f"kernel is {kernel}: it must be odd, positive and less than twice the side of {height} x {width} images"
        )
    place = torch.arange(kernel, device=images.device, dtype=images.dtype) - kernel // 2
    weights = (place / sigma[:, None]).square().mul(-0.5).softmax(1)
    rows, columns = _bands(weights, height), _bands(weights, width)
    return rows[:, None] @ images @ columns[:, None].mT


def _bands(weights: Float[Tensor, "batch kernel"], side: int) -> Float[Tensor, "batch {side} {side}"]:
    """Write each kernel into every row of a matrix, folding back what falls outside."""
    kernel = weights.shape[1]
    pixels = torch.arange(side, device=weights.device, dtype=weights.dtype)
    reflected = F.pad(pixels[None, None], (kernel // 2, kernel // 2), mode="reflect")[0, 0].long()
    taps = F.one_hot(reflected.unfold(0, side, 1), side).to(weights.dtype)
    return (weights @ taps.flatten(1)).view(-1, side, side)
