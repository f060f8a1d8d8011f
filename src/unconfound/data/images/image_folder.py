"""A folder of images as a data set."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.divide.splits import check_test_share, train_test_indices
from unconfound.data.files.cache import Cache, cache_folder, cache_limit
from unconfound.data.files.folders import Layout, find_masks, read_layout
from unconfound.data.images.checks import mask_note, skipped_note
from unconfound.data.images.decoded import Decoded, ImageFiles, decode_all
from unconfound.data.images.parts import Reading
from unconfound.data.images.streaming import StreamingSource


def image_folder(
    path: Path,
    *,
    masks: Path | None = None,
    reading: Reading | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    unseen_classes: bool = False,
) -> Dataset:
    """Read a folder of images: class folders, loose images without labels, or either under train and test.

    `unconfound.data.files.folders.read_layout` says which layouts are understood,
    `unconfound.data.images.decoding.decode_image` how a file becomes a square of pixels. Images that cannot be decoded
    (damaged, truncated, empty, above 178 megapixels, or with a mask of that kind) are skipped; the notes count them and
    name the first five.

    All images are decoded when the folder is first read. Up to `Reading.memory_gib` the result is kept in the cache and
    mapped into memory by later runs, which takes no time while no file has changed; above it only the names of the
    damaged files are kept, and worker processes decode each batch anew.

    Args:
        path: the folder.
        masks: a folder of foreground masks, one for each image at the same relative path.
        reading: how images and masks are decoded; by default that of `Reading`.
        test_share: share of each class to test on where the folder has no test part, in [0, 1).
        seed: for that split.
        unseen_classes: test folders may hold classes that the training folder lacks; every part then names all.

    Raises:
        FileNotFoundError: the folder, the folder of masks or a mask is missing.
        ValueError: the folder holds no images or an unclear mixture, too many of them are damaged, a mask is neither
            black and white nor read by `mask_values`, no mask shows any foreground, or an argument is out of its range.
    """
    reading = reading or Reading()
    check_test_share(test_share)
    if masks is None and reading.mask_values is not None:
        raise ValueError(f"mask_values say how masks are read: give the folder of the masks of {path}, too (--masks)")
    layout = read_layout(path, without=masks, unseen_classes=unseen_classes)
    parts = {"train": layout.train, **layout.tests}
    names = tuple(chain.from_iterable(part.files for part in parts.values()))
    mask_files = None if masks is None else find_masks(masks, names)
    files, file_notes = reading.files(path, names, masks=mask_files)
    keep = files.bytes_decoded() <= reading.memory_gib * 2**30
    store = Cache(cache_folder(reading.cache) / "images", limit=cache_limit())
    decoded = decode_all(files, keep=keep, cache=store, workers=reading.workers)

    readable = [position for position in range(len(names)) if position not in decoded.skipped]
    notes = [*layout.notes, *file_notes, *decoded.notes]
    notes += skipped_note(path, files, decoded, reading.bad_share)
    notes += mask_note(masks, files, decoded, len(readable))
    if not keep:
        notes.append(
            f"{files.bytes_decoded() / 2**30:.1f} GiB of decoded images exceed memory_gib = {reading.memory_gib:g}: "
            f"they are decoded batch by batch by {reading.workers} processes"
        )
    whole = _source(path, layout, files, decoded, readable=readable, workers=reading.workers)
    part_of = np.repeat(np.arange(len(parts)), [len(part.files) for part in parts.values()])[readable]
    positions = [torch.from_numpy(np.flatnonzero(part_of == number)) for number in range(len(parts))]
    if not layout.tests and test_share > 0:
        positions = list(train_test_indices(len(whole), whole.labels, test_share, seed))
        notes.append(
            f"no test folder: {len(positions[1]):,} of {len(whole):,} images, {test_share:.0%} of each class, "
            f"were drawn for the test (seed {seed})"
        )
    train = Subset(whole, positions[0], name=path.name, notes=notes)
    tests: dict[str, Source] = {
        name: Subset(whole, part, name=f"{path.name} {name}")
        for name, part in zip(list(layout.tests) or ["test"], positions[1:], strict=False)
        if len(part)
    }
    return Dataset(
        train=train,
        tests=tests,
        labelled=None if train.labels is None else train,
        restore=files.restore(),
    )


def _source(
    path: Path, layout: Layout, files: ImageFiles, decoded: Decoded, *, readable: list[int], workers: int
) -> Source:
    schema = Schema("images", (files.channels, files.image_size, files.image_size), _classes(layout))
    labels = _labels(layout, readable)
    names = tuple(files.images[position] for position in readable)
    if decoded.images is not None:
        return MemorySource(path.name, schema, decoded.images, labels, masks=decoded.masks, names=names)
    return StreamingSource(path.name, schema, files.select(readable), workers, labels)


def _classes(layout: Layout) -> tuple[str, ...]:
    parts = (layout.train, *layout.tests.values())
    return tuple(sorted({name for part in parts for name in part.classes or ()}))


def _labels(layout: Layout, readable: list[int]) -> Tensor | None:
    if layout.train.classes is None:
        return None
    number = {name: label for label, name in enumerate(_classes(layout))}
    of_all = [number[name] for part in (layout.train, *layout.tests.values()) for name in part.classes or ()]
    return torch.tensor([of_all[position] for position in readable])
