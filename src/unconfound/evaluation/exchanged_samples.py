"""Samples with what is to tell nothing taken from others: a nuisance that a user names, or the background of images."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Source
from unconfound.data.compose.exchanged import with_exchanged_nuisance
from unconfound.data.compose.swaps import in_memory
from unconfound.evaluation.exchanged_backgrounds import with_exchanged_backgrounds


def with_exchanged_samples(
    source: Source, *, generator: torch.Generator
) -> tuple[Source, Int[Tensor, " samples"]] | None:
    """Exchange the nuisance of a source that has one, and the backgrounds of images with masks.

    Args:
        source: two or more samples.
        generator: of the order in which they exchange.

    Returns:
        The samples in the order of the source, and the index of the one whose nuisance or background each has; None
        where the source has no nuisance, and no masks in memory.
    """
    if source.nuisance is not None:
        return with_exchanged_nuisance(source, generator=generator)
    masked = in_memory(source)
    return None if masked is None else with_exchanged_backgrounds(masked, generator=generator)
