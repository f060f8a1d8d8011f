"""Contrast of two noised views of each sample, whose noise is Gaussian or a little of another sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.inputs import unit_range, wide
from unconfound.methods.method import Step
from unconfound.methods.parts.two_views import gathered, refuse_one, views_of


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
    """Contrast two noised views of each sample by NT-Xent over the batch of all processes.

    Args:
        batch: any samples.
        encoder, head: the head's output is compared.
        views: [batch, ...] -> [2 batch, ...].
        at_representation: noise the encoder's output, which is computed once, or once for each view where the batch has
            second inputs; else the input, and both views go through the encoder in one pass.
        temperature: of the softmax over similarities; above 0.
        method: name of the method, for errors.

    Raises:
        TypeError: the samples have no common shape, and their input is to be noised.
        ValueError: the batch of all processes holds one sample, which has no negatives.
    """
    if at_representation:
        # Noise is small: half precision would round part of it away.
        embeddings = wide(encoder(batch.inputs))
        second = None if batch.second_inputs is None else wide(encoder(batch.second_inputs))
        projections = head(views_of(replace(batch, inputs=embeddings, second_inputs=second), views))
    else:
        inputs = batch.inputs
        if not isinstance(inputs, Tensor):
            raise TypeError(f"{type(inputs).__name__} have no common shape to be noised in: noise the representation")
        embeddings = encoder(views_of(replace(batch, inputs=unit_range(inputs)), views))
        projections = head(embeddings)
    refuse_one(len(batch), method=method)
    loss = nt_xent(*gathered(projections), temperature=temperature)
    return Step(loss, embeddings=embeddings.detach().float())


def noises_representation(place: str, schema: Schema, *, flag: str) -> bool:
    """Turn "auto" into True, the representation, or False, the input of samples of one shape.

    Raises:
        ValueError: the input of samples without a common shape.
    """
    fixed = schema.modality in ("images", "tables")
    if place == "input" and not fixed:
        raise ValueError(f"{schema.modality} have no common shape to be mixed in: use --{flag} representation")
    return place == "representation" or not fixed
