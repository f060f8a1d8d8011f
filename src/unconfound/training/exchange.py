"""Training batches with exchanged backgrounds or nuisances: a step between a source and a method, of which no method
knows.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unconfound.data import Batch, Graphs, Source
from unconfound.data.compose.exchanged import with_nuisance_of
from unconfound.functional.distributed import uniform
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions
from unconfound.views.backgrounds import exchange_backgrounds

# What names the nuisance of each kind of data.
NAMING = {
    "tables": "name columns with --nuisance",
    "text": "name words with --nuisance-words",
    "series": "of recordings, --nuisance-snr exchanges the background",
}


def check_exchange(options: TrainingOptions, source: Source) -> None:
    """Refuse data of which nothing can be exchanged, before anything is trained.

    Raises:
        ValueError: something is to be exchanged, and the data have no nuisance, and are no images or have no masks; or
            edges of masks are to be moved where there are none.
    """
    if not options.exchange:
        return
    modality = source.schema.modality
    if source.nuisance is not None:
        if options.exchange_rim or options.exchange_soft_edge:
            raise ValueError(
                f"exchange_rim and exchange_soft_edge are for masks of images, the data are {modality}: leave them out"
            )
        if len(source) < 2:
            raise ValueError(f"exchange {options.exchange:g} needs at least two samples, {source.name} has one")
        return
    if modality != "images":
        raise ValueError(
            f"exchange {options.exchange:g} needs to know what to exchange, and {source.name} holds {modality} without "
            f"a nuisance: {NAMING.get(modality, 'leave --exchange out')}"
        )
    first = next(iter(source.batches([torch.arange(1)])))
    if first.masks is None:
        raise ValueError(
            f"exchange {options.exchange:g} needs masks of the foregrounds, and {source.name} has none: name their "
            "folder with --masks, or leave --exchange out"
        )


def exchanged(batch: Batch, options: TrainingOptions, method: Method, source: Source) -> Batch:
    """Exchange the nuisance of the source, or the backgrounds of images, as the options say."""
    if source.nuisance is None:
        return on_exchanged_backgrounds(batch, options, method)
    return with_exchanged_nuisances(batch, options, method, source)


def with_exchanged_nuisances(batch: Batch, options: TrainingOptions, method: Method, source: Source) -> Batch:
    """Give a share of the samples the nuisance of another training sample, by torch's global generator of the CPU.

    Each sample that gives is uniform over all other training samples, so that a nuisance is as frequent as in the
    training data and tells nothing of the class. Two views get independent draws, as backgrounds do: see
    `on_exchanged_backgrounds`.

    Args:
        batch: of this process, on the device.
        options: of the training.
        method: what is trained.
        source: the training samples, two or more, from which the batch comes.

    Returns:
        The batch itself where nothing is to be exchanged.
    """
    if not options.exchange:
        return batch
    first = batch
    if not (method.compares_two_views and options.exchange_views == "one"):
        first = _with_nuisances(batch, options, source)
    if not method.compares_two_views:
        return first
    second = _with_nuisances(batch, options, source).inputs
    assert not isinstance(second, Graphs)
    return replace(first, second_inputs=second)


def _with_nuisances(batch: Batch, options: TrainingOptions, source: Source) -> Batch:
    index = batch.index.cpu()
    drawn = uniform(len(batch), 3)
    # In double precision, rounding does not reach the number of samples.
    givers = (drawn[:, 0].double() * (len(source) - 1)).long()
    givers += givers >= index
    givers = torch.where(drawn[:, 1] < options.exchange, givers, index)
    return with_nuisance_of(batch, source, givers, drawn[:, 2])


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
