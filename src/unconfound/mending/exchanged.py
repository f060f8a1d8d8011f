"""Embeddings of the same samples with their own background or nuisance and with those of others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import Source
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.evaluation.exchanged_samples import with_exchanged_samples
from unconfound.options.embedding import EmbeddingOptions


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Embeddings of training samples whose backgrounds, or nuisances, were exchanged.

    Args:
        own: each sample as it is; None where that was not asked for.
        others: each sample with the backgrounds or nuisances of others.
        labels: the class of the sample.
        donors: the class of the sample that the background or nuisance was taken from.
    """

    own: Float[Tensor, "samples features"] | None
    others: Float[Tensor, "samples exchanges features"]
    labels: Int[Tensor, " samples"]
    donors: Int[Tensor, "samples exchanges"]


def embed_exchanged(
    encoder: EncoderFunction,
    source: Source,
    *,
    exchanges: int,
    seed: int,
    embedding: EmbeddingOptions,
    own: bool = True,
    progress: Progress | None = None,
) -> Exchanged:
    """Embed every sample with the background or nuisance of as many others as there are exchanges.

    Args:
        encoder: of samples.
        source: labelled images with masks in memory, or labelled samples with a nuisance; two or more.
        exchanges: how often each sample gets the background or nuisance of another.
        seed: decides which samples exchange theirs.
        embedding: batch size, device and precision.
        own: embed the samples as they are, too.
        progress: where bars are shown.
    """
    assert source.labels is not None
    generator = torch.Generator().manual_seed(seed)
    as_they_are = embed(encoder, source, progress=progress, **vars(embedding)).features if own else None
    others, donors = [], []
    for _ in range(exchanges):
        found = with_exchanged_samples(source, generator=generator)
        assert found is not None
        exchanged, givers = found
        others.append(embed(encoder, exchanged, progress=progress, **vars(embedding)).features)
        donors.append(source.labels[givers])
    return Exchanged(as_they_are, torch.stack(others, 1), source.labels, torch.stack(donors, 1))
