"""Foregrounds by the distance of an encoder's features from those of the image's border."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from unconfound.functional.foregrounds.border_distance import border_distances
from unconfound.functional.foregrounds.colour_frequency import estimate_masks_by_frequency
from unconfound.functional.foregrounds.pixels import on_border
from unconfound.functional.inputs import check_floating, wide

# Added to the variances of the border's features, as a share of their mean: fewer places than features are on a border.
_RIDGE = 0.1
# The least ridge, of features of variance 1: a border of one value has no variance.
_TINY = 1e-6
# Features that differ by less, as a share of the largest, are equal.
_ROUNDING = 1e-6


def estimate_masks_by_features(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    maps: Float[Tensor, "batch features rows columns"],
) -> Bool[Tensor, "batch 1 height width"]:
    """Estimate the foreground of each image: places whose features are unlike those of the border, with their colours.

    `feature_distances` says where the foreground is, on the grid of the map. From there, its outline is found by how
    often each colour is seen inside and outside of it, in turns (`estimate_masks_by_frequency`).

    Args:
        images: uint8, or float of any range.
        maps: features of the same images, such as an encoder's before they are pooled.

    Returns:
        1 on the foreground; an image of one colour, or one whose features are the same everywhere, has none.

    Raises:
        TypeError, ValueError: as in `estimate_masks_by_frequency`, or as in `feature_distances`, or there is not one
            map an image.
    """
    if len(maps) != len(images):
        raise ValueError(f"{len(maps)} feature maps for {len(images)} images: give one an image")
    distances = feature_distances(maps)
    start = interpolate(distances, images.shape[2:], mode="bilinear", align_corners=False)
    return estimate_masks_by_frequency(images, start=start)


def feature_distances(maps: Float[Tensor, "batch features rows columns"]) -> Float[Tensor, "batch 1 rows columns"]:
    """Measure how far the features of each place are from those of the image's border.

    The features on the border (the outermost 8 % of the places) of an image have a mean m and a covariance C. A place
    with the features x has Mahalanobis' distance sqrt((x - m)' (C + r I)^-1 (x - m)), where r is a tenth of the mean
    variance on the border.

    Args:
        maps: of images; the scale of the features does not matter.

    Raises:
        TypeError: maps are not floating-point.
        ValueError: a map has no places or no features, or a value is NaN or infinite.
    """
    check_floating("maps", maps)
    if maps.dim() != 4 or 0 in maps.shape[1:]:
        raise ValueError(
            f"maps must be [batch, features, rows, columns] with at least one of each, got shape {tuple(maps.shape)}"
        )
    values = wide(maps)
    if not bool(values.isfinite().all()):
        raise ValueError("maps must be finite, but some hold NaN or infinity: look for the layer that makes them")
    # On a scale of its own, so that a map of tiny features is none of rounding errors.
    values = values - values.mean((2, 3), keepdim=True)
    spread = values.square().mean((1, 2, 3)).sqrt()
    told = spread > _ROUNDING * wide(maps).abs().amax((1, 2, 3))
    values = values * torch.where(told, 1 / spread, 0).view(-1, 1, 1, 1)
    around = values.flatten(2)[:, :, on_border(*values.shape[2:], device=values.device).flatten()]
    variance = (around - around.mean(2, keepdim=True)).square().mean((1, 2))
    return border_distances(values, ridge=(_RIDGE * variance).clamp_min(_TINY))
