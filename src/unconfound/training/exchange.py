"""Training batches with exchanged backgrounds or nuisances: a step between a source and a method, of which no method
knows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from unconfound.data import Batch, Graphs, Source
from unconfound.data.compose.cropped_photographs import CroppedPhotographs
from unconfound.data.compose.exchanged import with_nuisance_of
from unconfound.functional.distributed import uniform
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions
from unconfound.progress import announced
from unconfound.views.backgrounds import exchanged
from unconfound.views.layers import Layers, layers_of

# So many evenly spaced training images are looked at before their backgrounds are exchanged.
_LOOKED_AT = 256

# What names the nuisance of each kind of data.
NAMING = {
    "tables": "name columns with --nuisance",
    "text": "name words with --nuisance-words",
    "series": "of recordings, --nuisance-snr exchanges the background",
}


def settle_exchange(options: TrainingOptions, source: Source, *, mask_note: str) -> tuple[TrainingOptions, list[str]]:
    """Check the exchange of backgrounds, and leave it out where masks were to be estimated and there are none.

    Estimates that are useless are no reason not to train, and training on them would be worse than none.

    Args:
        options: of the training.
        source: of the training.
        mask_note: `Dataset.mask_note`.

    Returns:
        The options to train with, and notes for the log.

    Raises:
        FileNotFoundError, ValueError: as in `check_exchange`.
    """
    if options.exchange and mask_note and source.schema.modality == "images" and _some(source).masks is None:
        left_out = replace(options, exchange=0.0, background_folder=None)
        return left_out, [f"no backgrounds are exchanged (exchange {options.exchange:g} is left out): {mask_note}"]
    return options, check_exchange(options, source)


def check_exchange(options: TrainingOptions, source: Source) -> list[str]:
    """Refuse data of which nothing can be exchanged, before anything is trained.

    Returns:
        Notes on images that keep their background, and on the photographs of a folder of backgrounds.

    Raises:
        FileNotFoundError: there is no folder of backgrounds.
        ValueError: something is to be exchanged, and the data have no nuisance, and are no images, have no masks, or
            none of these has both foreground and background; options for masks are given where there are none; or a
            folder of backgrounds is named, and nothing is to be exchanged or nothing in it can be read.
    """
    folder = options.background_folder
    if not options.exchange:
        if folder is not None:
            raise ValueError(
                f"background_folder {folder} gives backgrounds to an exchange, and there is none: give --exchange 1, "
                "too, or leave it out"
            )
        return []
    modality = source.schema.modality
    if source.nuisance is not None:
        if options.exchange_rim or options.exchange_soft_edge or folder is not None:
            raise ValueError(
                "exchange_rim, exchange_soft_edge and background_folder are for images, the data are "
                f"{modality}: leave them out"
            )
        if len(source) < 2:
            raise ValueError(f"exchange {options.exchange:g} needs at least two samples, {source.name} has one")
        return []
    if modality != "images":
        raise ValueError(
            f"exchange {options.exchange:g} needs to know what to exchange, and {source.name} holds {modality} without "
            f"a nuisance: {NAMING.get(modality, 'leave --exchange out')}"
        )
    some = _some(source)
    if some.masks is None:
        raise ValueError(
            f"exchange {options.exchange:g} needs masks of the foregrounds, and {source.name} has none: name their "
            "folder with --masks, have them estimated (--masks estimate), or leave --exchange out"
        )
    notes = _on_useless_masks(some.masks, source.name)
    if folder is None:
        return notes
    # The folder as it is now, and not as it was for an earlier training in this process.
    _photographs.cache_clear()
    with announced("reading photographs"):
        return notes + _photographs(folder, some.inputs.shape[1:]).notes  # type: ignore[union-attr]


def _some(source: Source) -> Batch:
    step = -(-len(source) // _LOOKED_AT)
    return next(iter(source.batches([torch.arange(0, len(source), step)])))


def _on_useless_masks(masks: Tensor, name: str) -> list[str]:
    """Note how many of some masks are empty or cover all; refuse those of which none is any good."""
    empty, full = ~masks.flatten(1).any(1), masks.flatten(1).all(1)
    useless = int((empty | full).sum())
    told = f"of {len(masks):,} masks of {name}, {int(empty.sum()):,} are empty and {int(full.sum()):,} cover all"
    if useless == len(masks):
        raise ValueError(f"{told}: none has a background to exchange; look at the masks, or leave --exchange out")
    return [f"{told}: these images keep their backgrounds"] if useless else []


def with_exchange(batch: Batch, options: TrainingOptions, method: Method, source: Source) -> Batch:
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
    shared by both views never tells which of them belong together. So does each small crop of a method with multi-crop.
    With `exchange_views` "one", the first views keep the backgrounds of the images.

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
    # `check_exchange` has seen that there are images and masks.
    assert isinstance(batch.inputs, Tensor)
    assert batch.masks is not None
    layers = layers_of(batch.inputs, batch.masks, rim=options.exchange_rim, soft_edge=options.exchange_soft_edge)
    if not method.compares_two_views:
        return replace(batch, inputs=_exchanged(layers, options))
    first = batch.inputs if options.exchange_views == "one" else _exchanged(layers, options)
    second = _exchanged(layers, options)
    # One after the other, so that as many are drawn as there are crops, and the views are those without crops.
    crops = [_exchanged(layers, options) for _ in range(method.local_crops)]
    return replace(batch, inputs=first, second_inputs=second, local_inputs=torch.cat(crops) if crops else None)


def _exchanged(layers: Layers, options: TrainingOptions) -> Tensor:
    images, backgrounds = layers.images, None
    if options.background_folder is not None:
        photographs = _photographs(options.background_folder, images.shape[1:])
        backgrounds = photographs.draw(len(images)).to(images.device)
    return exchanged(layers, share=options.exchange, backgrounds=backgrounds)


@lru_cache(maxsize=1)
def _photographs(folder: Path, shape: torch.Size) -> CroppedPhotographs:
    """Read a folder once a training, and not once an update."""
    channels, height, width = shape
    return CroppedPhotographs(folder, (channels, height, width))
