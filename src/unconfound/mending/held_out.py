"""The training samples that mending works with: most are fitted on, the others show which remedy is the best."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.data.compose.exchanged import exchanged_tests
from unconfound.data.compose.swaps import in_memory, swaps
from unconfound.data.core.subset import Subset
from unconfound.evaluation.unseen import unseen
from unconfound.training.exchange import NAMING

# Of each class; two samples at least, as each gets the background or nuisance of another one of its class.
HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class Divided:
    """Training samples in two parts.

    Args:
        fitted: what remedies are found on.
        held_out: other samples as "mixed-same" and "mixed-rand", made as test sets are made.
    """

    fitted: Source
    held_out: dict[str, Source]


def divided(dataset: Dataset, *, seed: int) -> Divided:
    """Hold a fifth of each class out, of a class with four samples or more.

    An encoder that was trained with labels on confounded samples recognises these themselves better than others, with
    backgrounds or nuisances of their own class above all. Where the data have a validation part that can be exchanged,
    too, that is held out instead: no encoder was trained on it.

    Args:
        dataset: labelled images with masks, or labelled samples with a nuisance.
        seed: of the choice, and of the backgrounds or nuisances that the samples get which are held out.

    Raises:
        ValueError: as `exchangeable`, or samples of fewer than two classes, or no class with four samples.
    """
    source = exchangeable(dataset)
    samples, whole = (
        ("images", "images with a foreground and a background") if source.nuisance is None else ("samples",) * 2
    )
    assert source.labels is not None
    if len(source.labels.unique()) < 2:
        raise ValueError(f"all {len(source):,} {samples} of {source.name} are of one class: mend needs two or more")
    if dataset.validation is not None:
        validation = dataset.validation if source.nuisance is not None else in_memory(dataset.validation)
        if validation is not None and validation.labels is not None:
            with suppress(ValueError):  # too few samples of a class to exchange among
                return Divided(source, _exchanged(validation, seed=seed))
    generator = torch.Generator().manual_seed(seed)
    out = torch.zeros(len(source), dtype=torch.bool)
    for label in source.labels.unique():
        members = (source.labels == label).nonzero().flatten()
        count = max(2, round(HELD_OUT * len(members))) if len(members) >= 4 else 0
        out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    if not bool(out.any()):
        raise ValueError(
            f"no class of {source.name} has four {whole}, two to fit on and two to choose by: give more {samples}"
        )
    return Divided(_part(source, ~out, "fitted"), _exchanged(_part(source, out, "held out"), seed=seed))


def exchangeable(dataset: Dataset) -> Source:
    """Return the labelled training samples of which something can be exchanged.

    Samples with a nuisance are returned as they are, and of images those that have a foreground and a background, by
    their masks.

    Raises:
        ValueError: they have no nuisance and are no images, or are images without masks or with masks that are all
            empty or full; they have no labels; or there are test sets of other classes or none with exchanged
            backgrounds or nuisances.
    """
    train, labelled = dataset.train, dataset.labelled
    images = train.schema.modality == "images"
    if train.nuisance is None and not images:
        instead = NAMING.get(train.schema.modality, "mend takes images, tables, texts and recordings")
        raise ValueError(f"{train.name} holds {train.schema.modality} without a nuisance to exchange: {instead}")
    if labelled is None:
        given = "give class folders" if images else "name their column, as --label does for tables"
        raise ValueError(f"{train.name} has no labels, by which mend measures before and after: {given}")
    source = labelled if train.nuisance is not None else _with_backgrounds(labelled, dataset)
    if not {"mixed-same", "mixed-rand"} <= dataset.tests.keys():
        starts = ("no backgrounds are swapped", "no nuisance is exchanged")
        said = next((note for note in train.notes if note.startswith(starts)), "")
        what = "backgrounds" if train.nuisance is None else "nuisances"
        raise ValueError(f"{train.name} has no test sets with exchanged {what}{said and f' ({said})'}")
    if unseen(dataset.tests["mixed-rand"], train.schema):
        raise ValueError(f"the test sets of {train.name} are of classes that are not trained on: mend needs the same")
    return source


def _with_backgrounds(labelled: Source, dataset: Dataset) -> Source:
    """Return the images that have a foreground and a background."""
    name, memory = dataset.train.name, in_memory(labelled)
    if memory is None or memory.masks is None:
        said = f" ({dataset.mask_note})" if dataset.mask_note else ""
        instead = "" if dataset.mask_note else ", or --masks estimate,"
        raise ValueError(
            f"{name} has no masks in memory, by which mend exchanges backgrounds{said}: give --masks with a "
            f"folder of masks{instead} and enough --memory-gib to hold the images"
        )
    masks = memory.masks.flatten(1)
    usable = masks.any(1) & ~masks.all(1)
    if not bool(usable.any()):
        empty = int((~masks.any(1)).sum())
        raise ValueError(
            f"of the {len(memory):,} masks of {name} {empty:,} are empty and all others full, so that there is "
            "no background to exchange: give masks that are white on the foreground and black around it"
        )
    return memory if bool(usable.all()) else _part(memory, usable, "with foreground and background")


def _exchanged(source: Source, *, seed: int) -> dict[str, Source]:
    if source.nuisance is not None:
        sets = exchanged_tests(source, seed=seed)
        return {name: sets[name] for name in ("mixed-same", "mixed-rand")}
    sets = swaps(source, seed=seed)
    return {name: _copied(sets[name]) for name in ("mixed-same", "mixed-rand")}


def _part(source: Source, chosen: Tensor, words: str) -> Source:
    positions: Int[Tensor, " samples"] = chosen.nonzero().flatten()
    return _copied(Subset(source, positions, name=f"{source.name}, {words}"))


def _copied(source: Source) -> Source:
    """Return images with masks as a source of their own, so that they are taken from their source once."""
    memory = in_memory(source)
    return source if memory is None else memory
