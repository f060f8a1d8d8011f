"""Embeddings of the same foregrounds on their own backgrounds and on those of other images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import MemorySource
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.options.embedding import EmbeddingOptions
from unconfound.views.backgrounds import exchange_backgrounds

# Images whose backgrounds are exchanged at a time.
AT_A_TIME = 1024


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


def with_exchanged_backgrounds(
    source: MemorySource, *, generator: torch.Generator
) -> tuple[MemorySource, Int[Tensor, " samples"]]:
    """Stand each foreground on the background of another image, drawn at random, and name these images.

    Every background is given exactly once. Where the giver's own foreground was, `exchange_backgrounds` says what is
    painted. An image without a foreground, or whose giver has no background, stays as it is and gives to itself.

    Args:
        source: images with masks; two or more.
        generator: of the order in which they exchange.

    Returns:
        The images in the order of the source and of its type, and the index of the image that gave the background.
    """
    assert source.masks is not None
    order = torch.randperm(len(source), generator=generator)
    inputs, givers = torch.empty_like(source.inputs), torch.empty_like(order)
    # Parts of nearly equal length: none holds a single image.
    for part in order.tensor_split(max(1, len(order) // AT_A_TIME)):
        masks, donors = source.masks[part], torch.arange(len(part)).roll(1)
        images = exchange_backgrounds(source.inputs[part], masks, donors=donors)
        inputs[part] = images if source.inputs.is_floating_point() else (255 * images).round().to(torch.uint8)
        stays = ~masks.flatten(1).any(1) | masks.flatten(1).all(1)[donors]
        givers[part] = torch.where(stays, part, part[donors])
    return replace(source, name=f"{source.name}, exchanged backgrounds", inputs=inputs, notes=()), givers
