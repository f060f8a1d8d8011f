"""Image files that a published set has already put into parts, decoded as those of any folder are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import MemorySource, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.files.cache import Cache, cache_folder, cache_limit
from unconfound.data.images.checks import check_depth, common_size, mask_note, skipped_note
from unconfound.data.images.decoded import ImageFiles, decode_all
from unconfound.data.images.streaming import StreamingSource
from unconfound.spans import Spans, read_spans


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images are decoded, cached and streamed.

    Args:
        image_size: side of the squares in pixels. None: the images' own size where all (of up to 200, evenly spaced)
            have the same square size of at most 224, else the median of their short sides rounded down to a multiple
            of 32, at least 32 and at most 224.
        channels: 3 for colours, 1 for brightness.
        bad_share: largest share of images that may be skipped, in [0, 1].
        memory_gib: gibibytes up to which decoded images are kept.
        cache: folder of the cache; None: the environment variable UNCONFOUND_CACHE, else ~/.cache/unconfound. It is
            kept below UNCONFOUND_CACHE_GIB gibibytes (20).
        workers: number of threads that decode at first, and of processes that decode batches.
        bits: of the values in 16-bit files, 8 to 16. None: 16, and an error where none of them (of up to 64, evenly
            spaced) reaches a quarter of the range.
        mask_values: the foreground of masks that are not black and white, as values such as "3" and spans such as
            "5-20"; see `unconfound.data.images.mask_values.foreground`.

    Raises:
        ValueError: an argument is out of its range.
    """

    image_size: int | None = None
    channels: int = 3
    bad_share: float = 0.01
    memory_gib: float = 4.0
    cache: Path | None = None
    workers: int = 2
    bits: int | None = None
    mask_values: Sequence[str | int] | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}: it must be at least 1 pixel, or None to choose it")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}: image files are read with 3 (colours) or 1 (brightness)")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}: the values in 16-bit files have 8 to 16")
        if not 0 <= self.bad_share <= 1:
            raise ValueError(f"bad_share is {self.bad_share}: it must lie between 0 and 1")
        if not self.memory_gib >= 0:
            raise ValueError(f"memory_gib is {self.memory_gib}: it must be at least 0")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}: it must be at least 0")
        self.spans()

    def spans(self) -> Spans | None:
        """Return which values of masks are foreground, or None for the bright ones of black and white masks."""
        return None if self.mask_values is None else read_spans(self.mask_values)

    def files(
        self, root: Path, names: Sequence[str], *, masks: tuple[Path, ...] | None = None
    ) -> tuple[ImageFiles, list[str]]:
        """Return image files under `root`, with a mask each or none, and notes on a chosen size and on dark files."""
        size, note = (self.image_size, None) if self.image_size else common_size(root, tuple(names))
        notes = [note] if note else []
        if self.bits is None:
            notes += check_depth(root, tuple(names))
        bits = 16 if self.bits is None else self.bits
        files = ImageFiles(root, tuple(names), masks, size, self.channels, spans=self.spans(), bits=bits)
        return files, notes


def published_folder(name: str, root: Path | None, inside: str) -> Path:
    """Return the folder of a published set: that name inside of the root where it is there, else the root itself.

    Raises:
        ValueError: no root is given.
        FileNotFoundError: the root is not there.
    """
    if root is None:
        raise ValueError(f"{name} is read from files: say which folder holds them (--data-root)")
    if not root.is_dir():
        raise FileNotFoundError(f"{name} needs the folder {root}: there is none; nothing is downloaded")
    return root / inside if (root / inside).is_dir() else root


def read_parts(
    name: str,
    files: ImageFiles,
    parts: Mapping[str, int],
    *,
    labels: Int[Tensor, " files"],
    classes: Sequence[str],
    reading: Reading,
    groups: Int[Tensor, " files"] | None = None,
    group_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> dict[str, Source]:
    """Decode files, or find them in the cache, and give each part of them as a source, without those that are damaged.

    Args:
        name: how logs and reports call the set.
        files: all files, one part after the other.
        parts: how many files each part has, in their order. The first part carries the notes.
        labels: of all files, -1 where one has none.
        classes: the names of the labels.
        reading: how.
        groups: of all files, -1 where one has none.
        group_names: of the groups.
        notes: for the run's log.

    Raises:
        ValueError: more files are damaged than may be skipped, or no mask shows any foreground.
    """
    keep = files.bytes_decoded() <= reading.memory_gib * 2**30
    store = Cache(cache_folder(reading.cache) / "images", limit=cache_limit())
    decoded = decode_all(files, keep=keep, cache=store, workers=reading.workers)
    readable = [position for position in range(len(files.images)) if position not in decoded.skipped]
    told = [*notes, *decoded.notes, *skipped_note(files.root, files, decoded, reading.bad_share)]
    told += mask_note(files.root, files, decoded, len(readable))
    schema = Schema("images", (files.channels, files.image_size, files.image_size), tuple(classes), tuple(group_names))
    names = tuple(files.images[position] for position in readable)
    known, grouped = (None if each is None else each[torch.tensor(readable)] for each in (labels, groups))
    whole: Source
    if decoded.images is not None:
        whole = MemorySource(name, schema, decoded.images, known, grouped, masks=decoded.masks, names=names)
    else:
        told.append(
            f"{files.bytes_decoded() / 2**30:.1f} GiB of decoded images exceed memory_gib = {reading.memory_gib:g}: "
            f"they are decoded batch by batch by {reading.workers} processes"
        )
        whole = StreamingSource(name, schema, files.select(readable), reading.workers, known, grouped)
    part_of = np.repeat(np.arange(len(parts)), list(parts.values()))[readable]
    return {
        part: Subset(
            whole,
            torch.from_numpy(np.flatnonzero(part_of == number)),
            name=name if part == "train" else f"{name} {part}",
            notes=() if number else told,
        )
        for number, part in enumerate(parts)
    }
