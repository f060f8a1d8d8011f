"""The loss of methods that predict one view's projection from the other's, without negatives (BYOL, SimSiam)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_paired
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
