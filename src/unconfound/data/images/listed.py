"""Image files of which a table says label, group and part: the ground of Waterbirds, CelebA and a user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.data.files.folders import find_masks
from unconfound.data.images.decoding import Box
from unconfound.data.images.parts import Reading, read_parts
from unconfound.data.tables.targets import labelled_part

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageTable:
    """What is known of each image file.

    Args:
        files: paths relative to their folder.
        labels: -1 where one has none.
        classes: the names of the labels.
        parts: the number in `PARTS` of each.
        groups: -1 where one has none; None where nothing is known of groups.
        group_names: of the groups.
        boxes: what to cut out of each, see `unconfound.data.images.decoding.Box`; None: the central square.
    """

    files: Sequence[str]
    labels: Int[Tensor, " files"]
    classes: Sequence[str]
    parts: Int[Tensor, " files"]
    groups: Int[Tensor, " files"] | None = None
    group_names: Sequence[str] = ()
    boxes: Sequence[Box] | None = None


def read_image_table(
    name: str,
    folder: Path,
    table: ImageTable,
    *,
    reading: Reading,
    masks: Path | None = None,
    notes: Sequence[str] = (),
) -> Dataset:
    """Decode the files of a table, or find them in the cache, and give its parts as a data set.

    A sample whose group is not known is learnt from, but counts in no figure of groups. A test part in which no sample
    has a group has none at all; groups without a training sample, which no method can learn from, are noted.

    Args:
        name: how logs and reports call the set.
        folder: of the files.
        table: what is known of them.
        reading: how they are decoded.
        masks: a folder of foreground masks, one for each image at the same relative path.
        notes: for the run's log.

    Raises:
        FileNotFoundError: the folder of masks or a mask is missing.
        ValueError: no file is for training, or too many files are missing or damaged.
    """
    counts = torch.bincount(table.parts, minlength=len(PARTS)).tolist()
    if not counts[0]:
        raise ValueError(f"{name} has {len(table.files):,} images, but none of them is for training")
    order = table.parts.argsort(stable=True)
    names = tuple(table.files[position] for position in order.tolist())
    files, size_notes = reading.files(folder, names, masks=None if masks is None else find_masks(masks, names))
    if table.boxes is not None:
        files = replace(files, boxes=tuple(table.boxes[position] for position in order.tolist()))
    sources = read_parts(
        name,
        files,
        {part: count for part, count in zip(PARTS, counts, strict=True) if count},
        labels=table.labels[order],
        classes=table.classes,
        groups=None if table.groups is None else table.groups[order],
        group_names=table.group_names,
        reading=reading,
        notes=[*size_notes, *notes],
    )
    train, said = sources["train"], [] if table.groups is None else _group_notes(sources["train"])
    held = {part: source for part, source in sources.items() if part != "train"}
    for part, source in held.items():
        if source.groups is not None and not bool((source.groups >= 0).any()):
            held[part] = Subset(source, torch.arange(len(source)), grouped=False)
            said.append(f"no sample of {part} has a group: it gets no figures of groups")
    train.notes = (*train.notes, *said)
    tests: dict[str, Source] = {"test": held["test"]} if "test" in held else {}
    return Dataset(
        train=train,
        tests=tests,
        labelled=labelled_part(train),
        restore=files.restore(),
        validation=held.get("validation"),
    )


def published_notes(table: ImageTable, published: Mapping[str, Sequence[int]]) -> list[str]:
    """Note each part that has other numbers of samples in its groups than were published."""
    notes = []
    for number, part in enumerate(PARTS):
        groups = torch.empty(0) if table.groups is None else table.groups[table.parts == number]
        counts = torch.bincount(groups[groups >= 0].long(), minlength=len(table.group_names)).tolist()
        if counts != list(published[part]):
            told = "; ".join(
                f"{count:,} of {known:,} {name}"
                for name, count, known in zip(table.group_names, counts, published[part], strict=True)
            )
            notes.append(f"subset: {part} has {told}")
    return notes


def counted_notes(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """Note what there is another number of than was published."""
    return [
        f"subset: {counts[what]:,} of {known:,} {what}" for what, known in published.items() if counts[what] != known
    ]


def _group_notes(train: Source) -> list[str]:
    """Note training samples without a group, and groups without a training sample."""
    assert train.groups is not None
    names, known = train.schema.groups, train.groups[train.groups >= 0]
    empty = [names[group] for group in (torch.bincount(known, minlength=len(names)) == 0).nonzero().squeeze(1).tolist()]
    notes = []
    if len(known) < len(train):
        notes.append(
            f"{len(train) - len(known):,} of {len(train):,} training samples have no group: they are trained on, "
            "but not counted in figures of groups"
        )
    if empty:
        notes.append(f"no training sample is in the group {', '.join(empty)}")
    return notes
