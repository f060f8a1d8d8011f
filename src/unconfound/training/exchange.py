"""Training batches on exchanged backgrounds: a step between a source and a method, of which no method knows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unconfound.data import Batch, Source
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions
from unconfound.views.backgrounds import exchange_backgrounds


def check_exchange(options: TrainingOptions, source: Source) -> None:
    """Refuse data whose backgrounds cannot be exchanged, before anything is trained.

    Raises:
        ValueError: backgrounds are to be exchanged, and the data are no images or have no masks.
    """
    if not options.exchange:
        return
    if source.schema.modality != "images":
        raise ValueError(
            f"exchange {options.exchange:g} exchanges the backgrounds of images, the data are "
            f"{source.schema.modality}: leave --exchange out"
        )
    first = next(iter(source.batches([torch.arange(1)])))
    if first.masks is None:
        raise ValueError(
            f"exchange {options.exchange:g} needs masks of the foregrounds, and {source.name} has none: name their "
            "folder with --masks, or leave --exchange out"
        )


def on_exchanged_backgrounds(batch: Batch, options: TrainingOptions, method: Method) -> Batch:
    """Exchange backgrounds within the batch of all processes, by torch's global generator.

    A method that compares two views gets both on backgrounds of their own: independent draws, so that a background
    shared by both views never tells which of them belong together. With `exchange_views` "one", the first views keep
    the backgrounds of the images.

    Args:
        batch: of this process, on the device.
        options: of the training.
        method: what is trained.

    Returns:
        The batch itself where nothing is to be exchanged; masks, labels and groups are always those of the foregrounds.

    Raises:
        ValueError: the batch of all processes holds one image.
    """
    if not options.exchange:
        return batch
    if not method.compares_two_views:
        return replace(batch, inputs=_exchanged(batch, options))
    first = batch.inputs if options.exchange_views == "one" else _exchanged(batch, options)
    return replace(batch, inputs=first, second_inputs=_exchanged(batch, options))


def _exchanged(batch: Batch, options: TrainingOptions) -> Tensor:
    # `check_exchange` has seen that there are images and masks.
    assert isinstance(batch.inputs, Tensor)
    assert batch.masks is not None
    return exchange_backgrounds(
        batch.inputs,
        batch.masks,
        share=options.exchange,
        rim=options.exchange_rim,
        soft_edge=options.exchange_soft_edge,
    )
