"""Contrast adjusted over backgrounds: ICL-MSR's sum over strata where each stratum is a background that was seen."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_floating, check_paired
from unconfound.functional.interventional import adjusted_contrast
from unconfound.functional.similarity import normalize


def background_adjusted_loss(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    on_backgrounds: Float[Tensor, "batch strata features"],
    *,
    temperature: float = 0.5,
    negatives: Literal["cross-view", "both-views"] = "cross-view",
) -> Float[Tensor, ""]:
    """Compute the mean of -log P(anchor | do(positive)) over both views of each sample as anchor.

    Backdoor adjustment, P(Y | do(X)) = sum_t P(Y | X, Z = z_t) P(z_t), with Z the background. The poster of Qiang et
    al. (ICML 2022) stands for X under stratum t by weights on the positive's embedding; here it is the embedding x_t of
    the positive's foreground on background t. With s_t = cos(anchor, x_t) and c_k the cosines with the negatives,
    P = 1/n sum_t exp(s_t / T) / (exp(s_t / T) + sum_k exp(c_k / T)). Everything else is the poster's: P(z_t) = 1 / n,
    which is what backgrounds drawn from the training images give, negatives as they are, and the sum inside the
    logarithm. A pair without negatives has the loss 0.

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        on_backgrounds: each sample's foreground on `strata` other backgrounds; the positives of both views.
        temperature: T, above 0.
        negatives: "cross-view", the poster's literal form, takes the other view of the other samples (batch - 1);
            "both-views" takes both views of them (2 batch - 2).

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there is no background, or an option is out of its range.
    """
    check_paired(first=first, second=second)
    check_floating("on_backgrounds", on_backgrounds)
    batch, features = first.shape
    if on_backgrounds.dim() != 3 or on_backgrounds.shape[::2] != (batch, features) or on_backgrounds.shape[1] == 0:
        raise ValueError(
            f"on_backgrounds must be [{batch}, strata, {features}] with at least one stratum, got "
            f"{tuple(on_backgrounds.shape)}"
        )
    check_above_0(temperature=temperature)
    with torch.autocast(first.device.type, enabled=False):
        positives = normalize(on_backgrounds.flatten(0, 1)).view(on_backgrounds.shape)
        first, second = normalize(first), normalize(second)
        stratified = [torch.einsum("nd,nsd->ns", anchor, positives) for anchor in (first, second)]
        return adjusted_contrast(first, second, stratified, temperature=temperature, negatives=negatives)
