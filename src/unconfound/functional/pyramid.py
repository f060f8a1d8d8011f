"""What multi-scale structural similarity compares at which scale, chosen by the size of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from unconfound.functional.inputs import check_tensor

# Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment" (Asilomar 2003), 3.2.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_DEVIATION = 1.5  # of the Gaussian window, in pixels

Negative = Literal["relu", "clamp", "shift"]


@dataclass(frozen=True)
class Pyramid:
    """What is compared at which scale.

    Args:
        window: the taps of the separable window; symmetric.
        weights: the exponent of each scale.
        data_range: the range of the images' values.
        negative: what becomes of a scale's term below 0: "relu", "clamp" or "shift".
    """

    window: tuple[float, ...]
    weights: tuple[float, ...]
    data_range: float
    negative: Negative


def pyramid_of(
    images: Tensor, data_range: float, window_size: int | None, scales: int | None, negative: Negative
) -> Pyramid:
    """Choose window and scales by the shorter side, as `ms_ssim` says.

    Raises:
        ValueError: an option is out of its range, or the side is too small.
    """
    if negative not in ("relu", "clamp", "shift"):
        raise ValueError(f"negative must be relu, clamp or shift, got {negative!r}")
    side = min(images.shape[2:])
    size = window_size if window_size is not None else 7 if side < 64 else 11
    if size < 3 or size % 2 == 0:
        raise ValueError(f"window_size must be odd and at least 3, got {size}")
    if side < size:
        smaller = f"choose an odd window_size from 3 to {side}, or enlarge" if side >= 3 else "enlarge"
        raise ValueError(f"the shorter side of images is {side} px, below the window of {size}: {smaller} the images")
    possible = min(len(_SCALE_WEIGHTS), (side // size).bit_length())
    if scales is None:
        scales = possible
    if not 1 <= scales <= len(_SCALE_WEIGHTS):
        raise ValueError(f"scales must be 1 to {len(_SCALE_WEIGHTS)}, got {scales}")
    if scales > possible:
        raise ValueError(
            f"{scales} scales of a window of {size} need a shorter side of {size * 2 ** (scales - 1)} px, got {side}: "
            f"take scales={possible} or fewer, or a smaller window_size"
        )
    taps = [math.exp(-((tap - size // 2) ** 2) / (2 * _DEVIATION**2)) for tap in range(size)]
    weights = _SCALE_WEIGHTS[:scales]
    # All five are taken as printed, though four digits each sum to 1.0001: so are published values.
    total = 1.0 if scales == len(_SCALE_WEIGHTS) else sum(weights)
    return Pyramid(
        window=tuple(tap / sum(taps) for tap in taps),
        weights=tuple(weight / total for weight in weights),
        data_range=data_range,
        negative=negative,
    )


def check_images(name: str, images: Tensor) -> None:
    """Refuse anything but a batch of floating-point images that is not empty.

    Raises:
        TypeError: the images are not floating-point.
        ValueError: they do not have four dimensions, or one is empty.
    """
    check_tensor(name, images)
    if not images.is_floating_point():
        raise TypeError(f"{name} must be floating-point, got {images.dtype}: divide by 255 with .float().div(255)")
    if images.dim() != 4 or images.numel() == 0:
        raise ValueError(
            f"{name} must be [batch, channels, height, width] with at least one of each, got {tuple(images.shape)}"
        )
