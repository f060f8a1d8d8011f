"""Assignment of samples to prototypes, as SwAV makes it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_at_least_1, check_paired, check_rows, wide


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


def swapped_prediction(
    first: Float[Tensor, "rows prototypes"],
    second: Float[Tensor, "rows prototypes"],
    *,
    temperature: float = 0.1,
    smoothing: float = 0.05,
    iterations: int = 3,
) -> Float[Tensor, ""]:
    """Compute the loss of SwAV: predict the assignment of one view of each sample from the other view.

    Caron et al. (NeurIPS 2020), equations 1 and 2: with q the assignments of a view by `sinkhorn` and p the softmax of
    its scores at the temperature, the mean over samples of -[sum_k q_k log p'_k + sum_k q'_k log p_k] / 2, the prime
    marking the other view. The paper sums both directions; its code takes their mean, as we do. No gradient flows
    through the assignments.

    It is at least the entropy of the assignments. Where all embeddings are equal, these are uniform, and the loss at
    least the logarithm of the number of prototypes: to collapse is no way to a low loss.

    Args:
        first: scores of one view of each sample.
        second: of the other view, in the same order.
        temperature: of the softmax, above 0.
        smoothing, iterations: as `sinkhorn` has them.

    Raises:
        TypeError: scores are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    check_above_0(temperature=temperature)
    check_paired(first=first, second=second)
    codes = [sinkhorn(scores.detach(), smoothing=smoothing, iterations=iterations) for scores in (first, second)]
    with torch.autocast(first.device.type, enabled=False):
        losses = [
            -(code * (scores.to(code.dtype) / temperature).log_softmax(1)).sum() / len(code)
            for scores, code in zip((second, first), codes, strict=True)
        ]
        return (losses[0] + losses[1]) / 2
