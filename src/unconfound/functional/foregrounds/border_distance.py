"""Foregrounds by the distance of their colours from those of the image's border."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.foregrounds.pixels import (
    centre_weights,
    masks_of_scores,
    on_border,
    scaled_pixels,
    smoothed,
)

# Added to the variances of the border's colours, which may be one colour; the range of an image is 1.
_RIDGE = 1e-3


def estimate_masks(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
) -> Bool[Tensor, "batch 1 height width"]:
    """Estimate the foreground of each image: pixels near the centre whose colours are unlike those of the border.

    The colours of the border (the outermost 8 %) of an image have a mean m and a covariance C. A pixel of colour x
    scores its Mahalanobis distance sqrt((x - m)' C^-1 (x - m)) times a wide bell around the centre. A guided filter
    smooths the scores along the image's edges, and Otsu's threshold of each image divides them.

    Nothing is learnt and no weights are needed, so that an object that touches the border, is coloured like its
    surroundings or stands before a motley scene is found badly: compare estimates of your data before you rely on them
    (`unconfound.data.images.mask_verdict.compare_estimates`).

    Args:
        images: uint8, or float of any range. Of any number of channels, and no matter how bright or how contrasty.

    Returns:
        1 on the foreground; an image of one colour has none. Images of more than 64 pixels a side are estimated at that
        size.

    Raises:
        TypeError: images are neither uint8 nor floating-point.
        ValueError: an image has no pixels or no channels, or a value is NaN or infinite.
    """
    pixels = scaled_pixels(images)
    scores = border_distances(pixels, ridge=pixels.new_full((len(pixels),), _RIDGE)) * centre_weights(pixels)
    scores = scores / scores.amax((2, 3), keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    return masks_of_scores(smoothed(scores, pixels), images.shape[2], images.shape[3])


def border_distances(
    values: Float[Tensor, "batch channels rows columns"], *, ridge: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 1 rows columns"]:
    """Measure Mahalanobis' distance of each place's values from those of the places on the border of the image.

    Args:
        values: colours or features.
        ridge: above 0, of each image, added to the variances of the border.
    """
    rows, columns = values.shape[2:]
    places = values.flatten(2)
    around = places[:, :, on_border(rows, columns, device=values.device).flatten()]
    mean = around.mean(2, keepdim=True)
    around = around - mean
    diagonal = ridge.view(-1, 1, 1) * torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
    root, _ = torch.linalg.cholesky_ex(around @ around.mT / around.shape[2] + diagonal)
    distances = torch.linalg.solve_triangular(root, places - mean, upper=False).square().sum(1).sqrt()
    of_places: Tensor = distances.view(-1, 1, rows, columns)
    return of_places
