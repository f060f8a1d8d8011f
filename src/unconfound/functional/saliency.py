"""What a classifier looks at: class activation maps, and the part of an image where they are highest."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from unconfound.functional.inputs import (
    check_above_0,
    check_at_least_0,
    check_floating,
    check_paired,
    check_rows,
    wide,
    wide_pair,
)


def xgrad_cam(
    maps: Float[Tensor, "batch features rows columns"], gradients: Float[Tensor, "batch features rows columns"]
) -> Float[Tensor, "batch rows columns"]:
    """Weight the features of an image by how much each contributes to a class.

    Fu et al., "Axiom-based Grad-CAM" (XGrad-CAM, BMVC 2020), equations 6 and 8: max(0, sum_k w_k A_k) with
    w_k = sum_ij (A_kij / sum_ij A_kij) dS/dA_kij, for the score S of the class. A feature whose map sums to 0 has the
    weight 0.

    Args:
        maps: A, the features of a convolutional layer.
        gradients: dS/dA, of the same shape.

    Raises:
        TypeError: one is not floating-point.
        ValueError: shapes differ.
    """
    _check_maps(maps, gradients)
    maps, gradients = wide_pair(maps, gradients)
    sums = maps.sum((2, 3), keepdim=True)
    weights = (maps * gradients).sum((2, 3), keepdim=True) / torch.where(sums == 0, torch.inf, sums)
    return (weights * maps).sum(1).clamp_min(0)


def contrastive_scores(
    projections: Float[Tensor, "batch width"],
    keys: Float[Tensor, "batch width"],
    others: Float[Tensor, "rows width"],
    *,
    own: Bool[Tensor, "batch rows"],
    temperature: float = 1.0,
) -> Float[Tensor, " batch"]:
    """Score how well each image can be told from other images: log exp(s_nn / t) / sum_m exp(s_nm / t).

    Mo et al., "Object-aware Contrastive Learning for Debiased Scene Representation" (NeurIPS 2021), section 2.1, with
    the cosines s_nn to the image's own key and s_nm to `others`.

    Args:
        projections: of the images, as they are shown.
        keys: of the same images as they are.
        others: of this and other images, of which the scores hold no graph.
        own: True where one of the others is the same image; these are left out. Each row needs another image.
        temperature: t, above 0.

    Raises:
        TypeError: projections, keys or others are not floating-point.
        ValueError: shapes do not fit, an image has no others, or the temperature is out of its range.
    """
    check_above_0(temperature=temperature)
    check_paired(projections=projections, keys=keys)
    check_rows("others", others)
    if own.shape != (len(projections), len(others)) or bool(own.all(1).any()):
        raise ValueError(
            f"own must be [{len(projections)}, {len(others)}] with another image for each, got shape "
            f"{tuple(own.shape)}: use at least two images"
        )
    anchors, keys, others = (F.normalize(wide(rows), dim=1) for rows in (projections, keys, others))
    apart = (anchors @ others.T / temperature).masked_fill(own, -torch.inf)
    return (anchors * keys).sum(1) / temperature - apart.logsumexp(1)


def contra_cam(
    maps: Float[Tensor, "batch features rows columns"],
    gradients: Float[Tensor, "batch features rows columns"],
    size: tuple[int, int],
) -> Float[Tensor, "batch 1 height width"]:
    """Weight the features of an image by how much each tells it from other images.

    Mo et al. (NeurIPS 2021), section 2.1: max(0, sum_k w_k A_k) with w_k = max(0, mean_ij dS/dA_kij) for the score S
    (`contrastive_scores`). As in the authors' code, the map is brought to the size of the image (bicubically) and then
    to [0, 1]. A map of one value gives 0.

    Args:
        maps: A, the features of a convolutional layer.
        gradients: dS/dA, of the same shape.
        size: height and width of the images.

    Raises:
        TypeError: one is not floating-point.
        ValueError: shapes differ.
    """
    _check_maps(maps, gradients)
    maps, gradients = wide_pair(maps, gradients)
    weights = gradients.mean((2, 3), keepdim=True).clamp_min(0)
    found = (weights * maps).sum(1, keepdim=True).clamp_min(0)
    fine = F.interpolate(found, size=size, mode="bicubic", align_corners=False)
    fine = fine - fine.amin((2, 3), keepdim=True)
    highest = fine.amax((2, 3), keepdim=True)
    return fine / torch.where(highest > 0, highest, 1)


def most_salient(
    saliency: Float[Tensor, "batch rows columns"], size: tuple[int, int], *, deviations: float = 2.0
) -> Bool[Tensor, "batch 1 height width"]:
    """Find the pixels whose saliency is above mean + deviations x standard deviation of their image.

    Asgari Taghanaki et al., "MaskTune" (NeurIPS 2022), section 3. As in the authors' code, the map is brought to the
    size of the image (bilinearly) with its lowest value at 0, and mean and deviation are those of the pixels above 0.
    A map of one value, in which nothing stands out, gives no pixel.

    Args:
        saliency: of each image, on the grid of the features; its scale does not matter.
        size: height and width of the images.
        deviations: at least 0.

    Raises:
        TypeError: the saliency is not floating-point.
        ValueError: `deviations` is out of its range.
    """
    check_at_least_0(deviations=deviations)
    check_floating("saliency", saliency)
    fine = F.interpolate(wide(saliency)[:, None], size=size, mode="bilinear", align_corners=False)
    fine = fine - fine.amin((2, 3), keepdim=True)
    above = fine > 0
    count = above.sum((2, 3), keepdim=True).clamp_min(1)
    mean = fine.sum((2, 3), keepdim=True) / count
    variance = (above * (fine - mean).square()).sum((2, 3), keepdim=True) / count
    return fine > mean + deviations * variance.sqrt()


def _check_maps(maps: Tensor, gradients: Tensor) -> None:
    check_floating("maps", maps)
    check_floating("gradients", gradients)
    if maps.dim() != 4 or maps.shape != gradients.shape:
        raise ValueError(
            "maps and gradients must both be [batch, features, rows, columns], got shapes "
            f"{tuple(maps.shape)} and {tuple(gradients.shape)}"
        )
