"""Embeddings of the same foregrounds on their own backgrounds and on those of other images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import MemorySource
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.evaluation.exchanged_backgrounds import with_exchanged_backgrounds
from unconfound.options.embedding import EmbeddingOptions


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Embeddings of training images whose backgrounds were exchanged.

    Args:
        own: each image as it is; None where that was not asked for.
        others: each image's foreground on the backgrounds of other images.
        labels: the class of the foreground.
        donors: the class of the image that the background was taken from.
    """

    own: Float[Tensor, "samples features"] | None
    others: Float[Tensor, "samples exchanges features"]
    labels: Int[Tensor, " samples"]
    donors: Int[Tensor, "samples exchanges"]


def embed_exchanged(
    encoder: EncoderFunction,
    source: MemorySource,
    *,
    exchanges: int,
    seed: int,
    embedding: EmbeddingOptions,
    own: bool = True,
    progress: Progress | None = None,
) -> Exchanged:
    """Embed every image on the backgrounds of as many other images as there are exchanges.

    Args:
        encoder: of images.
        source: labelled images with masks; two or more.
        exchanges: how often the background of each image is exchanged.
        seed: decides which images exchange their backgrounds.
        embedding: batch size, device and precision.
        own: embed the images as they are, too.
        progress: where bars are shown.
    """
    assert source.labels is not None
    generator = torch.Generator().manual_seed(seed)
    as_they_are = embed(encoder, source, progress=progress, **vars(embedding)).features if own else None
    others, donors = [], []
    for _ in range(exchanges):
        exchanged, givers = with_exchanged_backgrounds(source, generator=generator)
        others.append(embed(encoder, exchanged, progress=progress, **vars(embedding)).features)
        donors.append(source.labels[givers])
    return Exchanged(as_they_are, torch.stack(others, 1), source.labels, torch.stack(donors, 1))
