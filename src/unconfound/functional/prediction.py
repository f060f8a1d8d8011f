"""The losses of methods whose views predict each other's projections, without negatives (BYOL, SimSiam, LeJEPA)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_floating, check_paired, wide
from unconfound.functional.similarity import rescale


def negative_cosine(
    prediction: Float[Tensor, "batch features"], target: Float[Tensor, "batch features"]
) -> Float[Tensor, ""]:
    """Compute the negative cosine similarity of predictions and their targets, averaged over the rows.

    Chen and He, "Exploring Simple Siamese Representation Learning" (CVPR 2021), equation 1: D(p, z) = -cos(p, z), from
    -1 where all directions agree to 1. BYOL's loss of one direction (Grill et al., NeurIPS 2020, equation 2), the
    squared distance of the normalised rows, is 2 + 2 D. Symmetric in its arguments, and gradients flow to both: the
    stop-gradient is the caller's, who detaches the target.

    Args:
        prediction: p, one row a view; any scale.
        target: z, in the same order; any scale.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: shapes differ, or there are no rows.
    """
    check_paired(prediction=prediction, target=target)
    with torch.autocast(prediction.device.type, enabled=False):
        first, second = rescale(prediction), rescale(target)
        # Divided by once a row, not once an entry. A length is at least 1, that of a row of zeros apart.
        lengths: Tensor = torch.linalg.vector_norm(first, dim=1) * torch.linalg.vector_norm(second, dim=1)
        return -((first * second).sum(1) / lengths.clamp_min(1)).mean()


def mean_view_prediction(views: Float[Tensor, "views batch features"], *, predicted: int) -> Float[Tensor, ""]:
    """Compute how far all views of a sample are from the mean of the first ones: the prediction loss of LeJEPA.

    Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics" (arXiv
    2511.08544, 2025), section 5.1: with mu the mean of the `predicted` first views of a sample, the mean over samples
    and all views of ||mu - z||^2 / features. The equation there sums over the features, the listing takes their mean,
    for which the recommended trade-off of 0.05 is meant; so do we. A gradient flows to mu, too.

    Args:
        views: z, the views of each sample in the same order; any scale, which counts.
        predicted: how many of them, from the first on, are predicted; at least 1.

    Raises:
        TypeError: views are not floating-point.
        ValueError: there are no views or rows, or not as many views as are predicted.
    """
    check_floating("views", views)
    if views.dim() != 3 or views.numel() == 0:
        raise ValueError(
            f"views must be [views, batch, features] with at least one of each, got shape {tuple(views.shape)}"
        )
    if not 1 <= predicted <= len(views):
        raise ValueError(f"predicted must be from 1 to the number of views, {len(views)}, got {predicted}")
    with torch.autocast(views.device.type, enabled=False):
        views = wide(views)
        return (views - views[:predicted].mean(0)).square().mean()
