"""Assignment of samples to prototypes, and its prediction from other views (SwAV, DINO)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import (
    check_above_0,
    check_at_least_1,
    check_floating,
    check_paired,
    check_rows,
    wide,
    wide_pair,
)


def sinkhorn(
    scores: Float[Tensor, "rows prototypes"], *, smoothing: float = 0.05, iterations: int = 3
) -> Float[Tensor, "rows prototypes"]:
    """Assign rows softly to prototypes such that every prototype gets about an equal share of them.

    Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (NeurIPS 2020),
    equations 3 to 5: exp(scores / smoothing), whose columns and then rows are scaled to equal sums, `iterations` times
    (Sinkhorn-Knopp). The paper's codes Q* sum to 1 over all; ours, as its code has them, over each row. The more
    iterations, the more equal the columns' shares. Nothing overflows or is lost at any smoothing: logarithms
    are what is scaled at first, and as long as shares too small for a floating-point number could still grow to count.

    A single row, or rows that are all equal, get the same share of every prototype.

    Args:
        scores: similarities of the rows of the batch of all processes to the prototypes.
        smoothing: the weight of the entropy; the lower, the harder the assignment. Above 0.
        iterations: at least 1.

    Returns:
        What each row has of each prototype; the rows sum to 1.

    Raises:
        TypeError: scores are not floating-point.
        ValueError: there are no rows, or an option is out of its range.
    """
    check_above_0(smoothing=smoothing)
    check_at_least_1(iterations=iterations)
    check_rows("scores", scores)
    with torch.autocast(scores.device.type, enabled=False):
        logarithms = wide(scores) / smoothing
        plain = min(iterations - 1, _iterations_without_logarithms(logarithms))
        for _ in range(iterations - 1 - plain):
            logarithms = logarithms.log_softmax(0).log_softmax(1)
        shares = logarithms.log_softmax(0).softmax(1)
        for _ in range(plain):
            shares = shares / shares.sum(0)
            shares = shares / shares.sum(1, keepdim=True)
        return shares


def _iterations_without_logarithms(scores: Tensor) -> int:
    """Return how many of the last iterations can scale shares themselves, to the precision of `scores`.

    A column that sums to 1 has an entry of at least 1 / rows, in a row whose sum, of entries of at most 1, is at most
    the number of columns; and the same with rows and columns swapped. So once both were scaled, no sum is below
    1 / (rows columns) again, and an iteration multiplies no entry by more than (rows columns)^2. One that underflows
    stays below the precision for as many iterations as this.
    """
    numbers = torch.finfo(scores.dtype)
    return int((math.log(numbers.eps) - math.log(numbers.tiny)) / (2 * math.log(max(scores.numel(), 2))))


def predicted_assignment(
    scores: Float[Tensor, "views rows prototypes"],
    codes: Float[Tensor, "coded rows prototypes"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Compute how badly each view of a sample predicts the assignments of its other views.

    Caron et al. (NeurIPS 2020), equations 1 and 2, and with small crops equation 6; Caron et al., "Emerging Properties
    in Self-Supervised Vision Transformers" (ICCV 2021), equation 3: with q^i the assignment of view i and p^v the
    softmax of the scores of view v at the temperature, the mean over samples and over all pairs (i, v) with v != i of
    -sum_k q^i_k log p^v_k. The papers sum over the pairs; their code takes the mean, as we do.

    The sum over pairs is that of all views with all assignments, without that of each view with its own: each view's
    probabilities are computed once, and met by the assignments once.

    Args:
        scores: of all views; the first ones are those that have assignments.
        codes: assignments of the first views, rows summing to 1. A gradient flows to them: detach what is a target.
        temperature: of the softmax, above 0.

    Raises:
        TypeError: scores or codes are not floating-point.
        ValueError: shapes do not fit, there are no rows, there is one view, or an option is out of its range.
    """
    check_above_0(temperature=temperature)
    check_floating("scores", scores)
    check_floating("codes", codes)
    if scores.dim() != 3 or codes.dim() != 3 or scores.numel() == 0 or scores.shape[1:] != codes.shape[1:]:
        raise ValueError(
            "scores must be [views, rows, prototypes] and codes [views with assignments, rows, prototypes], "
            f"got {tuple(scores.shape)} and {tuple(codes.shape)}"
        )
    views, rows, coded = len(scores), scores.shape[1], len(codes)
    if not 1 <= coded <= views or views < 2:
        raise ValueError(
            f"a view predicts the assignments of others: of two or more views, all or some have them, got {views} "
            f"views and {coded} assignments"
        )
    with torch.autocast(scores.device.type, enabled=False):
        scores, codes = wide_pair(scores, codes)
        logarithms = (scores / temperature).log_softmax(2)
        together = (logarithms.sum(0) * codes.sum(0)).sum()
        own = (logarithms[:coded] * codes).sum()
        return (own - together) / (rows * coded * (views - 1))


def swapped_prediction(
    first: Float[Tensor, "rows prototypes"],
    second: Float[Tensor, "rows prototypes"],
    *,
    local: Float[Tensor, "crops rows prototypes"] | None = None,
    temperature: float = 0.1,
    smoothing: float = 0.05,
    iterations: int = 3,
) -> Float[Tensor, ""]:
    """Compute the loss of SwAV: predict the assignment of one view of each sample from its other views.

    Caron et al. (NeurIPS 2020), equations 1, 2 and 6: `predicted_assignment`, with q the assignments of the first and
    the second view by `sinkhorn`. Small crops predict both, and are not assigned. No gradient flows through the
    assignments.

    It is at least the entropy of the assignments. Where all embeddings are equal, these are uniform, and the loss at
    least the logarithm of the number of prototypes: to collapse is no way to a low loss.

    Args:
        first: scores of one view of each sample.
        second: of the other view, in the same order.
        local: of small crops of each sample, in the same order; None: there are none.
        temperature: of the softmax, above 0.
        smoothing, iterations: as `sinkhorn` has them.

    Raises:
        TypeError: scores are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    check_paired(first=first, second=second)
    if local is not None and (local.dim() != 3 or local.shape[1:] != first.shape):
        raise ValueError(
            f"local must be [crops, rows, prototypes] for rows and prototypes {tuple(first.shape)}, got shape "
            f"{tuple(local.shape)}"
        )
    codes = [sinkhorn(scores.detach(), smoothing=smoothing, iterations=iterations) for scores in (first, second)]
    # What autocast makes of this is refused in float16 on the CPU.
    with torch.autocast(first.device.type, enabled=False):
        scores = torch.cat([first[None], second[None], *([] if local is None else [local])])
    return predicted_assignment(scores, torch.stack(codes), temperature=temperature)
