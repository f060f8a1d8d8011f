"""Image files as a table, whatever layout they come from, and the one way to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.core.subset import Subset, labelled_part
from unconfound.data.files.cache import Cache, cache_folder, cache_limit
from unconfound.data.files.folders import find_masks
from unconfound.data.files.set_folder import count_notes
from unconfound.data.images.checks import mask_note, skipped_note
from unconfound.data.images.decoded import ImageFiles, decode_all
from unconfound.data.images.decoding import Box
from unconfound.data.images.reading import Reading
from unconfound.data.images.streaming import StreamingSource

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageTable:
    """What a layout says of each image file.

    Args:
        name: how logs and reports call the set.
        folder: of the files.
        files: paths relative to it.
        labels: -1 where a file has none; None where nothing is known of classes.
        classes: the names of the labels.
        parts: the number of each file's part.
        part_names: of the parts; the first is trained on.
        groups: -1 where a file has none; None where nothing is known of groups.
        group_names: of the groups.
        boxes: what to cut out of each, see `unconfound.data.images.decoding.Box`; None: the central square.
        masks: a folder of foreground masks, one for each image at the same relative path.
        alpha: without such a folder, the opaque parts of images are their masks, where most have transparent parts.
        notes: for the run's log.
        published: numbers such as those of `PublicSet.counts`: a note says which ones the table does not have.
    """

    name: str
    folder: Path
    files: Sequence[str]
    labels: Int[Tensor, " files"] | None
    classes: Sequence[str]
    parts: Int[Tensor, " files"]
    part_names: Sequence[str] = PARTS
    groups: Int[Tensor, " files"] | None = None
    group_names: Sequence[str] = ()
    boxes: Sequence[Box] | None = None
    masks: Path | None = None
    alpha: bool = False
    notes: Sequence[str] = ()
    published: Mapping[str, int] = field(default_factory=dict)

    def count_notes(self) -> list[str]:
        """Note what there is another number of than was published."""
        if not self.published or self.labels is None:
            return []
        counts = {"classes": len(self.labels.unique())}
        for number, part in enumerate(self.part_names):
            labels, word = self.labels[self.parts == number], "training" if part == "train" else part
            counts |= {f"{word} images": len(labels), f"{word} classes": len(labels.unique())}
        return count_notes(counts, self.published)


def part_numbers(counts: Sequence[int]) -> Int[Tensor, " files"]:
    """Return the number of each file's part, where one part follows the other, with so many files each."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def read_image_parts(table: ImageTable, reading: Reading, *, files: ImageFiles | None = None) -> dict[str, Source]:
    """Decode the files of a table, or find them in the cache, and give each part of them as a source.

    Images that cannot be decoded (damaged, truncated, empty, above 178 megapixels, or with a mask of that kind) are
    skipped; the notes, which the first part carries, count them and name the first five.

    All images are decoded when they are first read. Up to `Reading.memory_gib` the result is kept in the cache and
    mapped into memory by later runs, which takes no time while no file has changed; above it only the names of the
    damaged files are kept, and worker processes decode each batch anew.

    Args:
        table: the files.
        reading: how they are decoded.
        files: those of the table in the order of its parts, where they are decoded in a way of their own.

    Returns:
        the parts that have files, by their names.

    Raises:
        FileNotFoundError: the folder of masks or a mask is missing.
        ValueError: too many files are missing or damaged, or no mask shows any foreground.
    """
    order, notes = table.parts.argsort(stable=True), [*table.notes, *table.count_notes()]
    if files is None:
        places = order.tolist()
        names = tuple(table.files[place] for place in places)
        masks = None if table.masks is None else find_masks(table.masks, names)
        boxes = None if table.boxes is None else tuple(table.boxes[place] for place in places)
        files, said = reading.files(table.folder, names, masks=masks, boxes=boxes, alpha=table.alpha)
        notes += said
    keep = files.bytes_decoded() <= reading.memory_gib * 2**30
    store = Cache(cache_folder(reading.cache) / "images", limit=cache_limit())
    decoded = decode_all(files, keep=keep, cache=store, workers=reading.workers)
    readable = [position for position in range(len(files.images)) if position not in decoded.skipped]
    notes += [*decoded.notes, *skipped_note(table.folder, files, decoded, reading.bad_share)]
    notes += mask_note(table.masks or table.folder, files, decoded, len(readable))
    schema = Schema(
        "images", (files.channels, files.image_size, files.image_size), tuple(table.classes), tuple(table.group_names)
    )
    kept = order[torch.tensor(readable, dtype=torch.long)]
    labels, groups = (None if each is None else each[kept] for each in (table.labels, table.groups))
    whole: Source
    if decoded.images is not None:
        shown = tuple(files.images[position] for position in readable)
        whole = MemorySource(table.name, schema, decoded.images, labels, groups, masks=decoded.masks, names=shown)
    else:
        notes.append(
            f"{files.bytes_decoded() / 2**30:.1f} GiB of decoded images exceed memory_gib = {reading.memory_gib:g}: "
            f"they are decoded batch by batch by {reading.workers} processes"
        )
        whole = StreamingSource(table.name, schema, files.select(readable), reading.workers, labels, groups)
    sources: dict[str, Source] = {
        table.part_names[number]: Subset(
            whole,
            (table.parts[kept] == number).nonzero().squeeze(1),
            name=table.name if table.part_names[number] == "train" else f"{table.name} {table.part_names[number]}",
        )
        for number in table.parts.unique().tolist()
    }
    sources = {part: whole for part in sources} if len(sources) == 1 else sources
    next(iter(sources.values())).notes = tuple(notes)
    return sources


def read_image_table(table: ImageTable, reading: Reading, *, files: ImageFiles | None = None) -> Dataset:
    """Read a table as a data set: its part "train", its part "validation", if any, and every other as a test set.

    A sample whose group is not known is learnt from, but counts in no figure of groups. A test part in which no sample
    has a group has none at all; groups without a training sample, which no method can learn from, are noted.

    Args and errors are those of `read_image_parts`.

    Raises:
        ValueError: no file is for training.
    """
    if not bool((table.parts == 0).any()):
        raise ValueError(f"{table.name} has {len(table.files):,} images, but none of them is for training")
    held = read_image_parts(table, reading, files=files)
    train = held.pop("train")
    notes = [] if train.groups is None else _group_notes(train)
    for part, source in held.items():
        if source.groups is not None and not bool((source.groups >= 0).any()):
            held[part] = Subset(source, torch.arange(len(source)), grouped=False)
            notes.append(f"no sample of {part} has a group: it gets no figures of groups")
    train.notes = (*train.notes, *notes)
    return Dataset(
        train=train,
        labelled=labelled_part(train),
        restore=reading.restore(train.schema),
        validation=held.pop("validation", None),
        tests=held,
    )


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
