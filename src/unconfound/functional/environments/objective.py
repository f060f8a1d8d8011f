"""How much less invariant a frozen model is in the environments of a soft split than it should be, and which way is up.

Deng and Zhang, "Deep Causal Metric Learning" (ICML 2022): the weights of samples in environments maximise the squared
gradient of each environment's loss by a dummy scale and dummy masks. The model does not move, so a sample's gradients
are one constant vector, and all takes O(samples x environments x width).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_floating, wide_dtype

Normalization = Literal["environment", "samples"]
# Numbers of `vectors` that are held in float32 at a time.
_CHUNK = 2**22


@torch.no_grad()
def environment_objective(
    vectors: Float[Tensor, "samples *environments width"],
    weights_logits: Float[Tensor, "samples count"],
    *,
    normalization: Normalization = "environment",
) -> Float[Tensor, ""]:
    """Compute the mean over environments j of ||g_j||^2, g_j the weighted mean of the samples' vectors.

    With o = softmax(weights_logits) over environments, "environment", as DCML's code and CaaM have it, divides
    sum_i o_ij v_ij by sum_i o_ij; "samples", as EIIL, by the number of samples. The first rewards tiny environments:
    one sample alone in an environment has its own vector as mean. An environment in which nothing has weight counts 0.

    Args:
        vectors: v, the gradients of each sample's loss: [samples, environments, width], or [samples, width] where they
            do not depend on the environment. Half precision is summed in float32.
        weights_logits: one row a sample, one column an environment.
        normalization: see above.

    Raises:
        TypeError: an input is not floating-point.
        ValueError: shapes do not fit, there are no samples, or the normalisation is not known.
    """
    check_vectors(vectors, weights_logits, normalization)
    return means_of(vectors, shares_of(vectors, weights_logits), normalization)[0].square().sum(1).mean()


def shares_of(vectors: Tensor, weights_logits: Tensor) -> Float[Tensor, "samples count"]:
    """The weights of each sample in the environments, in the type in which sums are made."""
    return torch.softmax(weights_logits.to(wide_dtype(vectors, weights_logits)), 1)


def means_of(
    vectors: Tensor, shares: Float[Tensor, "samples count"], normalization: Normalization
) -> tuple[Float[Tensor, "count width"], Float[Tensor, " count"]]:
    """g, and what each environment's sum was divided by."""
    sums = shares.new_zeros(shares.shape[1], vectors.shape[-1])
    for rows in chunks(vectors):
        own, seen = shares[rows], vectors[rows].to(shares.dtype)
        sums += own.T @ seen if seen.dim() == 2 else torch.einsum("ne,new->ew", own, seen)
    sizes = shares.sum(0) if normalization == "environment" else shares.new_full(sums.shape[:1], len(shares))
    return sums / torch.where(sizes == 0, 1, sizes)[:, None], sizes


def products_of(vectors: Tensor, means: Float[Tensor, "count width"]) -> Float[Tensor, "samples count"]:
    """<g_j, v_ij> of each sample and environment."""
    parts = []
    for rows in chunks(vectors):
        seen = vectors[rows].to(means.dtype)
        # One matrix product with all means and its diagonal: what einsum does for the diagonal alone is slower.
        products = seen @ means.T
        parts.append(products if seen.dim() == 2 else products.diagonal(dim1=1, dim2=2))
    return torch.cat(parts)


def slopes_of(
    vectors: Tensor, shares: Float[Tensor, "samples count"], normalization: Normalization
) -> tuple[Float[Tensor, ""], Float[Tensor, "samples count"]]:
    """The objective and its gradient by the shares."""
    means, sizes = means_of(vectors, shares, normalization)
    squares = means.square().sum(1)
    slopes = products_of(vectors, means)
    if normalization == "environment":
        slopes = slopes - squares
    return squares.mean(), slopes * (2 / len(sizes)) / torch.where(sizes == 0, 1, sizes)


def through_softmax(
    shares: Float[Tensor, "samples count"], slopes: Float[Tensor, "samples count"]
) -> Float[Tensor, "samples count"]:
    """Take a gradient by the softmax of logits to one by the logits."""
    weighted = shares * slopes
    return weighted - shares * weighted.sum(1, keepdim=True)


def chunks(vectors: Tensor) -> Iterator[slice]:
    """Rows that are looked at together."""
    rows = max(1, _CHUNK // max(1, vectors[:1].numel()))
    return (slice(start, start + rows) for start in range(0, len(vectors), rows))


def check_vectors(vectors: Tensor, weights_logits: Tensor, normalization: str) -> None:
    """Refuse vectors and logits that are not of the same samples and environments.

    Raises:
        TypeError: an input is not floating-point.
        ValueError: shapes do not fit, there are no samples, or the normalisation is not known.
    """
    for name, given in (("vectors", vectors), ("weights_logits", weights_logits)):
        check_floating(name, given)
    if weights_logits.dim() != 2 or weights_logits.numel() == 0:
        raise ValueError(
            "weights_logits must be [samples, environments] with at least one of each, "
            f"got shape {tuple(weights_logits.shape)}"
        )
    samples, environments = weights_logits.shape
    if vectors.dim() not in (2, 3) or vectors.shape[:-1] not in ((samples,), (samples, environments)):
        raise ValueError(
            f"vectors must be [{samples}, width] or [{samples}, {environments}, width] as the weights, "
            f"got shape {tuple(vectors.shape)}"
        )
    if normalization not in ("environment", "samples"):
        raise ValueError(f"normalization must be environment or samples, got {normalization!r}")
