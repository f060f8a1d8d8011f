"""Masks whose edges are wrong by some pixels, put right by the colours of their images."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.foregrounds.depths import depths, grown
from unconfound.functional.foregrounds.otsu import otsu_thresholds
from unconfound.functional.foregrounds.pixels import scaled_pixels, smoothed

# Added to the variances of the background's colours, which may be one colour; the range of an image is 1.
_RIDGE = 1e-3


def refine_masks(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    *,
    wrong_by: int,
) -> Bool[Tensor, "batch 1 height width"]:
    """Decide by colour what belongs to a foreground whose mask is too wide or too narrow by some pixels.

    Pixels farther than `wrong_by` from a mask are background. Their colours have a mean m and a covariance C; any other
    pixel, also one in a mask, scores the Mahalanobis distance of its colour from them, sqrt((x - m)' C^-1 (x - m)). A
    guided filter smooths the scores along the image's edges, and Otsu's threshold of the pixels in a mask and around it
    divides them. Pixels of the mask that are farther than `wrong_by` from all that this finds stay foreground, as the
    mask would be wrong by more without them. So a mask that is not empty does not become empty.

    Args:
        images: uint8, or float of any range, of any number of channels.
        masks: 1 on the foreground.
        wrong_by: the largest number of pixels by which a mask may be wrong, diagonal steps counted as one; 0 leaves
            masks as they are.

    Returns:
        The masks; those without any background farther away than `wrong_by` as they were given.

    Raises:
        TypeError, ValueError: as in `estimate_masks`, masks of another size, or a negative number.
    """
    if masks.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(
            f"masks have the shape {tuple(masks.shape)}, the images {tuple(images.shape)}: give one mask an image, of "
            "one channel and of the same height and width"
        )
    if wrong_by < 0:
        raise ValueError(f"wrong_by is {wrong_by}: it must be 0 pixels or more")
    pixels = scaled_pixels(images, longest=None)
    if wrong_by == 0:
        return masks
    deep = depths(masks, 2 * wrong_by + 1)
    near, around = deep > -wrong_by, deep > -2 * wrong_by - 1
    scores = smoothed(_distances(pixels, ~near), pixels)
    thresholds = otsu_thresholds(scores.flatten(1), counted=around.flatten(1))
    found = near & (scores > thresholds.view(-1, 1, 1, 1))
    reached = found
    for _ in range(wrong_by):
        reached = grown(reached)
    refined = found | (masks & ~reached)
    known = (masks.flatten(1).any(1) & ~near.flatten(1).all(1)).view(-1, 1, 1, 1)
    return torch.where(known, refined, masks)


def _distances(pixels: Tensor, background: Bool[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch 1 _ _"]:
    """Return how far each colour is from those of the background, relative to the farthest of its image."""
    colours, weights = pixels.flatten(2), background.flatten(2).to(pixels.dtype)
    count = weights.sum(2, keepdim=True).clamp_min(1)
    mean = (colours * weights).sum(2, keepdim=True) / count
    apart = colours - mean
    ridge = _RIDGE * torch.eye(pixels.shape[1], dtype=pixels.dtype, device=pixels.device)
    root, _ = torch.linalg.cholesky_ex((apart * weights) @ apart.mT / count + ridge)
    distances = torch.linalg.solve_triangular(root, apart, upper=False).square().sum(1).sqrt()
    distances = distances.view(-1, 1, *pixels.shape[2:])
    relative: Tensor = distances / distances.amax((2, 3), keepdim=True).clamp_min(torch.finfo(pixels.dtype).tiny)
    return relative
