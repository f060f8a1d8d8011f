"""What both estimators of foregrounds see: small images on a scale of their own, their border and their centre."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from unconfound.functional.foregrounds.guided_filter import guided_filter
from unconfound.functional.foregrounds.otsu import otsu_thresholds
from unconfound.functional.inputs import wide

# The longest side that estimators work at: larger images tell no more of where the foreground is, and take longer.
LONGEST = 64
# The width of the border as a share of the shorter side, and the width of the centre's bell as one of half a side.
_BORDER, _CENTRE = 0.08, 0.8
# Of the guided filter: the smallest window, as strokes may be thin, and contrasts below about 0.1 are smoothed.
_RADIUS, _EPSILON = 1, 1e-2


def scaled_pixels(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    *,
    longest: int | None = LONGEST,
) -> Float[Tensor, "batch channels rows columns"]:
    """Return images with the darkest value of each at 0 and its brightest at 1, at most 64 pixels a side.

    A shift of brightness and a change of contrast so leave the result as it is. An image of one value becomes 0.

    Args:
        images: uint8, or float of any range.
        longest: pixels of the longer side to which larger images are reduced; None: of any number.

    Raises:
        TypeError: images are neither uint8 nor floating-point.
        ValueError: an image has no pixels or no channels, or a value is NaN or infinite.
    """
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(f"images must be uint8 or floating-point, got {images.dtype}: convert with .float()")
    if 0 in images.shape[1:]:
        raise ValueError(f"images must have at least one channel and one pixel, got shape {tuple(images.shape)}")
    pixels = wide(images)
    if images.is_floating_point() and not bool(pixels.isfinite().all()):
        raise ValueError("images must be finite, but some hold NaN or infinity: leave them out")
    darkest, brightest = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    span = brightest - darkest
    pixels = (pixels - darkest) / torch.where(span > 0, span, 1)
    height, width = images.shape[2:]
    shrink = 1.0 if longest is None else max(height, width) / longest
    if shrink <= 1:
        return pixels
    smaller: Tensor = interpolate(pixels, (max(1, round(height / shrink)), max(1, round(width / shrink))), mode="area")
    return smaller


def on_border(height: int, width: int, *, device: torch.device) -> Bool[Tensor, "height width"]:
    """Return where the outermost 8 % of the shorter side are, at least one pixel wide."""
    rim = max(1, round(_BORDER * min(height, width)))
    border = torch.ones(height, width, dtype=torch.bool, device=device)
    border[rim : height - rim, rim : width - rim] = False
    return border


def centre_weights(like: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "height width"]:
    """Return a bell, exp(-(x^2 + y^2) / (2 x 0.8^2)), with x and y in (-1, 1) from edge to edge."""
    down, across = (
        (2 * torch.arange(size, dtype=like.dtype, device=like.device) + 1 - size) / size for size in like.shape[2:]
    )
    return (-(down[:, None].square() + across.square()) / (2 * _CENTRE**2)).exp()


def smoothed(
    scores: Float[Tensor, "batch 1 height width"], pixels: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch 1 height width"]:
    """Smooth scores along, but not across, the edges of the images' brightness."""
    return guided_filter(pixels.mean(1, keepdim=True), scores, radius=_RADIUS, epsilon=_EPSILON)


def masks_of_scores(
    scores: Float[Tensor, "batch 1 rows columns"], height: int, width: int
) -> Bool[Tensor, "batch 1 {height} {width}"]:
    """Return where scores, resized to the images' size, exceed Otsu's threshold of each image."""
    thresholds = otsu_thresholds(scores.flatten(1))
    if scores.shape[2:] != (height, width):
        scores = interpolate(scores, (height, width), mode="bilinear", align_corners=False)
    return scores > thresholds.view(-1, 1, 1, 1)
