"""Background swaps of a user's own images, whose foregrounds are given by masks.

The sets are named as in the Backgrounds Challenge (Xiao et al., "Noise or Signal: The Role of Image Backgrounds in
Object Recognition", ICLR 2021). There, a background's hole is tiled from the largest rectangle beside the object; here
it is filled from the nearest pixels of the background, which works for any mask. The outline of the donor's hole may
still be seen in the streaks, there as here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy import ndarray
from torch import Tensor

from unconfound.data.compose.donors import donors_of
from unconfound.data.core.source import MemorySource, Source
from unconfound.data.core.subset import Subset


def foreground_only(source: Source, *, name: str | None = None) -> MemorySource:
    """The samples of a source in the same order with their background black.

    Args:
        source: images in memory with masks, or a subset of them.
        name: how logs and reports call the result.

    Raises:
        ValueError: not images, no masks, or not in memory.
    """
    memory, masks = _masked(source)
    return replace(memory, name=name or f"{memory.name}, only foreground", inputs=memory.inputs * masks, notes=())


def swaps(source: Source, *, seed: int = 0) -> dict[str, Source]:
    """The five test sets of the same samples in the same order, made from images with masks.

    "original" is the source itself. In "mixed-same" each foreground stands on the background of another image of its
    class, in "mixed-rand" on that of another image of a uniformly random class (its own among them, as in the
    Backgrounds Challenge). "only-foreground" is black around the foreground; "only-background" is the image with the
    foreground painted over by the nearest background.

    Args:
        source: labelled images in memory with masks, or a subset of them.
        seed: of the choice of backgrounds.

    Raises:
        ValueError: not images, no masks, not in memory, a sample without a label, or a class in which a sample finds
            no other image with a background.
    """
    memory, masks = _masked(source)
    if memory.labels is None or bool((memory.labels < 0).any()):
        raise ValueError(f"{memory.name} has samples without a label: background swaps need the class of each")
    covered = masks.flatten(1).all(1)
    empty = ~masks.flatten(1).any(1)
    notes = []
    if bool(covered.any()):
        notes.append(f"{int(covered.sum())} images have no background: black, and given to no other image")
    if bool(empty.any()):
        notes.append(f"{int(empty.sum())} images have no foreground: black in only-foreground")
    rng = np.random.default_rng(seed)
    labels = memory.labels.numpy().astype(np.int64)
    givers = _givers(labels, ~covered.numpy(), memory)
    present = np.array(sorted(givers))
    backgrounds = _filled(memory.inputs, masks)

    def mixed(classes: Int64[ndarray, " samples"], name: str) -> MemorySource:
        donors = torch.from_numpy(donors_of(classes, givers, rng))
        inputs = torch.where(masks, memory.inputs, backgrounds[donors])
        return replace(memory, name=f"{memory.name}, {name}", inputs=inputs, notes=())

    return {
        "original": replace(memory, name=f"{memory.name}, original", notes=tuple([*memory.notes, *notes])),
        "mixed-same": mixed(labels, "mixed-same"),
        "mixed-rand": mixed(present[rng.integers(len(present), size=len(labels))], "mixed-rand"),
        "only-foreground": foreground_only(memory, name=f"{memory.name}, only-foreground"),
        "only-background": replace(
            memory,
            name=f"{memory.name}, only-background",
            inputs=backgrounds,
            masks=torch.zeros_like(masks),
            notes=(),
        ),
    }


def in_memory(source: Source) -> MemorySource | None:
    """The samples of a source with their masks, or None where it has no masks or streams its files."""
    if isinstance(source, Subset):
        base = in_memory(source.base)
        if base is None or base.masks is None:
            return None
        return MemorySource(
            name=source.name,
            schema=source.schema,
            inputs=base.inputs[source.positions],
            labels=source.labels,
            groups=source.groups,
            masks=base.masks[source.positions],
            names=source.names,
            notes=source.notes,
            scenes=source.scenes,
        )
    return source if isinstance(source, MemorySource) and source.masks is not None else None


def _masked(source: Source) -> tuple[MemorySource, Bool[Tensor, "samples 1 height width"]]:
    if source.schema.modality != "images":
        raise ValueError(f"{source.name} holds {source.schema.modality}: only images have a background to swap")
    memory = in_memory(source)
    if memory is None or memory.masks is None:
        raise ValueError(
            f"{source.name} has no masks in memory: give a folder of masks, and memory enough to hold the images"
        )
    return memory, memory.masks


def _givers(
    labels: Int64[ndarray, " samples"], has_background: Bool[ndarray, " samples"], source: MemorySource
) -> dict[int, Int64[ndarray, " givers"]]:
    """The samples of each class that have a background to give."""
    givers = {}
    for label in np.unique(labels):
        givers[int(label)] = np.flatnonzero((labels == label) & has_background)
        if len(givers[int(label)]) < 2:
            names = source.schema.classes
            raise ValueError(
                f"the class {names[label] if label < len(names) else label!r} has "
                f"{len(givers[int(label)])} images with a background: mixed-same needs two or more"
            )
    return givers


def _filled(images: Tensor, masks: Bool[Tensor, "samples 1 height width"]) -> Tensor:
    """Paint each foreground over with the nearest pixel of its background; an image that is all foreground is black."""
    from scipy.ndimage import distance_transform_edt  # takes most of a second to import

    filled = images.clone()
    for sample, mask in enumerate(masks[:, 0].numpy()):
        if mask.all():
            filled[sample] = 0
        elif mask.any():
            rows, columns = torch.from_numpy(
                distance_transform_edt(mask, return_distances=False, return_indices=True)
            ).long()
            filled[sample] = images[sample][:, rows, columns]
    return filled
