"""The training images that mending works with: most are fitted on, the others show which remedy is the best."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Dataset, MemorySource
from unconfound.data.compose.swaps import in_memory, swaps
from unconfound.data.core.subset import Subset
from unconfound.evaluation.unseen import unseen

# Of each class; two images at least, as an image is put on the background of another one of its class.
HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class Divided:
    """Training images in two parts.

    Args:
        fitted: what remedies are found on.
        held_out: other images as "mixed-same" and "mixed-rand", made as test sets are made.
    """

    fitted: MemorySource
    held_out: dict[str, MemorySource]


def divided(dataset: Dataset, *, seed: int) -> Divided:
    """Hold a fifth of each class out, of a class with four images or more.

    An encoder that was trained with labels on confounded images recognises these themselves better than others, on
    backgrounds of their own class above all. Where the data have a validation part with masks, that is held out
    instead: no encoder was trained on it.

    Args:
        dataset: labelled images with masks.
        seed: of the choice, and of the backgrounds that the images get which are held out.

    Raises:
        ValueError: as `exchangeable`, or images of fewer than two classes, or no class with four images.
    """
    source = exchangeable(dataset)
    assert source.labels is not None
    if len(source.labels.unique()) < 2:
        raise ValueError(f"all {len(source):,} images of {source.name} are of one class: mend needs two or more")
    validation = None if dataset.validation is None else in_memory(dataset.validation)
    if validation is not None and validation.labels is not None:
        with suppress(ValueError):  # too few images of a class to exchange their backgrounds
            return Divided(source, _swapped(validation, seed=seed))
    generator = torch.Generator().manual_seed(seed)
    out = torch.zeros(len(source), dtype=torch.bool)
    for label in source.labels.unique():
        members = (source.labels == label).nonzero().flatten()
        count = max(2, round(HELD_OUT * len(members))) if len(members) >= 4 else 0
        out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    if not bool(out.any()):
        raise ValueError(
            f"no class of {source.name} has four images with a foreground and a background, two to fit on and two to "
            "choose by: give more images"
        )
    return Divided(_part(source, ~out, "fitted"), _swapped(_part(source, out, "held out"), seed=seed))


def exchangeable(dataset: Dataset) -> MemorySource:
    """Return the labelled training images that have a foreground and a background, by their masks.

    Raises:
        ValueError: they are no images, or have no masks or labels, or there are test sets of other classes or none with
            exchanged backgrounds, or all masks are empty or full.
    """
    train = dataset.train
    if train.schema.modality != "images":
        raise ValueError(f"{train.name} holds {train.schema.modality}: mend exchanges the backgrounds of images")
    if dataset.labelled is None:
        raise ValueError(f"{train.name} has no labels, by which mend measures before and after: give class folders")
    memory = in_memory(dataset.labelled)
    if memory is None or memory.masks is None:
        said = f" ({dataset.mask_note})" if dataset.mask_note else ""
        instead = "" if dataset.mask_note else ", or --masks estimate,"
        raise ValueError(
            f"{train.name} has no masks in memory, by which mend exchanges backgrounds{said}: give --masks with a "
            f"folder of masks{instead} and enough --memory-gib to hold the images"
        )
    masks = memory.masks.flatten(1)
    usable = masks.any(1) & ~masks.all(1)
    if not bool(usable.any()):
        empty = int((~masks.any(1)).sum())
        raise ValueError(
            f"of the {len(memory):,} masks of {train.name} {empty:,} are empty and all others full, so that there is "
            "no background to exchange: give masks that are white on the foreground and black around it"
        )
    if not {"mixed-same", "mixed-rand"} <= dataset.tests.keys():
        said = next((note for note in train.notes if note.startswith("no backgrounds are swapped")), "")
        raise ValueError(f"{train.name} has no test sets with exchanged backgrounds{said and f' ({said})'}")
    if unseen(dataset.tests["mixed-rand"], train.schema):
        raise ValueError(f"the test sets of {train.name} are of classes that are not trained on: mend needs the same")
    return memory if bool(usable.all()) else _part(memory, usable, "with foreground and background")


def _swapped(source: MemorySource, *, seed: int) -> dict[str, MemorySource]:
    sets = swaps(source, seed=seed)
    return {name: _known(sets[name]) for name in ("mixed-same", "mixed-rand")}


def _part(source: MemorySource, chosen: Tensor, words: str) -> MemorySource:
    positions: Int[Tensor, " samples"] = chosen.nonzero().flatten()
    return _known(Subset(source, positions, name=f"{source.name}, {words}"))


def _known(source: object) -> MemorySource:
    memory = in_memory(source)  # type: ignore[arg-type]
    assert memory is not None
    return memory
