"""Brightness, contrast, saturation, hue and grayscale of a batch, with a strength for every image.

Images are float in [0, 1] and stay there. All agree with torchvision's functions on float tensors within 1e-5.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LUMINANCE = (0.2989, 0.587, 0.114)


def luminance(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Weigh the channels of each pixel as the eye does; without three channels, their mean."""
    if images.shape[1] != len(LUMINANCE):
        return images.mean(1, keepdim=True)
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    return (red * LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])


def blend(
    images: Float[Tensor, "batch channels height width"],
    scale: Float[Tensor, " batch"],
    *,
    gray: Float[Tensor, " batch"] | None = None,
    average: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Compute scale x image + gray x luminance + average x mean luminance, clamped to [0, 1].

    One pass over a batch can so do something else to every image. With a factor f of at least 0, 1 leaving the image
    alone: brightness is a scale of f; contrast, f and an average of 1 - f; saturation, f and a gray of 1 - f; a
    grayscale image, a scale of 0 and a gray of 1. The luminance of images without three channels is their mean.
    """
    if gray is None and average is None:
        return (images * scale.view(-1, 1, 1, 1)).clamp_(0, 1)
    light = luminance(images)
    offset = torch.zeros_like(scale) if average is None else light.mean((1, 2, 3)) * average
    offset = offset.view(-1, 1, 1, 1)
    if gray is not None:
        offset = (light * gray.view(-1, 1, 1, 1)).add_(offset)
    return torch.addcmul(offset, images, scale.view(-1, 1, 1, 1)).clamp_(0, 1)


def adjust_hue(
    images: Float[Tensor, "batch 3 height width"], shift: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Turn each image's hue by `shift` full turns, in [-0.5, 0.5], at equal value and saturation in HSV.

    The hue is measured as an angle from red, in [-3, 3] sixths of a turn. Its size is then one formula for all six
    orders of the channels, 1 + (green + blue - red - lowest) / (highest - lowest), and its sign that of green - blue.
    On the way back each channel is lowest + share x (highest - lowest): red's share falls from 1 to 0 between 1 and 2
    sixths to either side; green's rises within the first sixth on the positive side and within the third on the
    negative one; blue's is its mirror image.
    """
    red, green, blue = images.unbind(1)
    highest = torch.maximum(torch.maximum(green, blue), red)
    lowest = torch.minimum(torch.minimum(green, blue), red)
    chroma = highest - lowest
    # A gray pixel has no hue; with any, it comes back gray.
    angle = (green + blue).sub_(red).sub_(lowest).div_(chroma.clamp_min(1e-12)).add_(1)
    angle = angle.copysign(green - blue) + (6 * shift).view(-1, 1, 1)
    angle = torch.sub(angle, (angle / 6).round_(), alpha=6)
    shares = (
        (2 - angle.abs()).clamp_(0, 1),
        (-2 - angle).clamp_min_(0).add_(angle.clamp(0, 1)),
        (angle - 2).clamp_min_(0).sub_(angle.clamp(-1, 0)),
    )
    return torch.stack([torch.addcmul(lowest, chroma, share) for share in shares], dim=1)
