"""What the methods that contrast two views of each sample share."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.distributed import gather
from unconfound.functional.inputs import unit_range, wide
from unconfound.methods.method import Step


def contrast(projections: Float[Tensor, "views features"], *, temperature: float, method: str) -> Float[Tensor, ""]:
    """Compute NT-Xent over the batch of all processes.

    Args:
        projections: [2 batch, features] the first views of this process's samples, then the second ones.
        temperature: of the softmax over similarities; above 0.
        method: how the error calls it.

    Raises:
        ValueError: the batch of all processes holds one sample, which has no negatives.
    """
    first, second = (gather(views) for views in projections.chunk(2))
    if len(first) < 2:
        raise ValueError(f"{method} tells the samples of a batch apart, and this batch holds one: use at least two")
    return nt_xent(first, second, temperature=temperature)


def contrast_noised(
    batch: Batch,
    *,
    encoder: Encoder,
    head: nn.Module,
    views: Callable[[Tensor], Tensor],
    at_representation: bool,
    temperature: float,
    method: str,
) -> Step:
    """Contrast two noised views of each sample, be the noise other samples (DACL) or Gaussian.

    Args:
        batch: any samples.
        encoder, head: the head's output is compared.
        views: [batch, ...] -> [2 batch, ...].
        at_representation: noise the encoder's output, which is computed once; else the input, and both views go through
            the encoder in one pass.
        temperature, method: as `contrast` has them.
    """
    if at_representation:
        embeddings = encoder(batch.inputs)
        # Noise is small: half precision would round part of it away.
        embeddings = wide(embeddings)
        projections = head(views(embeddings))
    else:
        inputs = batch.inputs
        if not isinstance(inputs, Tensor):
            raise TypeError(f"{type(inputs).__name__} have no common shape to be noised in: noise the representation")
        embeddings = encoder(views(unit_range(inputs)))
        projections = head(embeddings)
    loss = contrast(projections, temperature=temperature, method=method)
    return Step(loss, embeddings=embeddings.detach().float())


def noises_representation(place: str, schema: Schema, *, flag: str) -> bool:
    """Turn "auto" into True, the representation, or False, the input of samples of one shape.

    Raises:
        ValueError: an unknown place, or the input of samples without a common shape.
    """
    if place not in ("auto", "input", "representation"):
        raise ValueError(f"{flag} must be auto, input or representation, got {place!r}")
    fixed = schema.modality in ("images", "tables")
    if place == "input" and not fixed:
        raise ValueError(f"{schema.modality} have no common shape to be mixed in: use --{flag} representation")
    return place == "representation" or not fixed
