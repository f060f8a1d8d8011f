"""All images of a folder decoded once, into memory-mapped files that later runs find again."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from unconfound.data.files.cache import Cache
from unconfound.data.images.decoding import (
    Box,
    UnreadableImageError,
    decode_alpha,
    decode_image,
    decode_mask,
    large_images_allowed,
)
from unconfound.documents import read_sealed, sealed
from unconfound.progress import console
from unconfound.spans import Spans

# A new way of decoding gets a new number, so that entries of the old one are not taken for its result.
_FORMAT = 3
_CHUNK = 512


@dataclass(frozen=True)
class ImageFiles:
    """Image files and how they are decoded.

    Args:
        root: their folder.
        images: paths relative to it.
        masks: a mask file for each image, or None.
        image_size: side of the decoded square in pixels.
        channels: 3 or 1.
        boxes: what to cut out of each image, see `decoding.Box`; None: the central square.
        spans: which values of the masks are foreground; None: they must be black and white.
        bits: of the values in 16-bit files, see `decoding.decode_image`.
        alpha: without files of masks, the opaque parts of an image are its mask.
    """

    root: Path
    images: tuple[str, ...]
    masks: tuple[Path, ...] | None
    image_size: int
    channels: int
    boxes: tuple[Box, ...] | None = field(default=None, kw_only=True)
    spans: Spans | None = field(default=None, kw_only=True)
    bits: int = field(default=16, kw_only=True)
    alpha: bool = field(default=False, kw_only=True)

    @property
    def masked(self) -> bool:
        """Whether each image has a mask."""
        return self.masks is not None or self.alpha

    def decode(self, position: int) -> tuple[np.ndarray, np.ndarray | None] | str:
        """Return image and mask at a position, or the reason why they cannot be had.

        Raises:
            UnclearMaskError: the mask is not black and white, and no `spans` say how it is to be read.
        """
        path = self.root / self.images[position]
        box = None if self.boxes is None else self.boxes[position]
        try:
            image, shape = decode_image(path, self.image_size, self.channels, box=box, bits=self.bits)
        except UnreadableImageError as error:
            return str(error)
        if self.masks is None and not self.alpha:
            return image, None
        try:
            if self.masks is None:
                return image, decode_alpha(path, self.image_size, box=box)
            return image, decode_mask(self.masks[position], self.image_size, shape, box=box, spans=self.spans)
        except UnreadableImageError as error:
            return f"its mask: {error}"

    def select(self, positions: Sequence[int]) -> ImageFiles:
        """Return the files at some positions."""
        return replace(
            self,
            images=tuple(self.images[position] for position in positions),
            masks=None if self.masks is None else tuple(self.masks[position] for position in positions),
            boxes=None if self.boxes is None else tuple(self.boxes[position] for position in positions),
        )

    def bytes_decoded(self) -> int:
        """Return how much memory all of them take once decoded."""
        planes = self.channels + self.masked
        return len(self.images) * planes * self.image_size**2


@dataclass(frozen=True)
class Decoded:
    """What came of decoding.

    Args:
        images: [readable, channels, size, size], or None where they were only checked.
        masks: [readable, 1, size, size], or None.
        skipped: position -> reason, of the files that cannot be read.
        empty_masks: number of masks without any foreground.
        notes: what a reader of the log should know.
    """

    images: UInt8[Tensor, "readable channels size size"] | None
    masks: Bool[Tensor, "readable 1 size size"] | None
    skipped: dict[int, str]
    empty_masks: int
    notes: tuple[str, ...] = ()


def decode_all(files: ImageFiles, *, keep: bool, cache: Cache, workers: int) -> Decoded:
    """Decode all files, or find the result of an earlier run in the cache.

    The cache knows the result by the files' names and bytes. The bytes are not read again while size, times and inode
    of every file are the same. Where the cache cannot be written the result is kept in memory, which is noted.

    Args:
        files: what to decode.
        keep: False: only find out which can be decoded.
        cache: where results are kept.
        workers: number of threads that decode.

    Raises:
        UnclearMaskError: a mask is not black and white, and nothing states how it is to be read.
    """
    further = {"boxes": files.boxes, "spans": files.spans, "bits": files.bits}
    if files.alpha:
        further["alpha"] = True
    settings = json.dumps([_FORMAT, keep, files.masks is not None, files.image_size, files.channels, further])
    state = _digest(settings, [str(files.root.resolve()), *_states(files)])
    key = cache.recall(state)
    if key is None:
        key = _digest(settings, _contents(files, workers))
        cache.remember(state, key)
    try:
        return cache.entry(
            key,
            load=lambda folder: _load(folder, files),
            build=lambda folder: _build(folder, files, keep=keep, workers=workers),
        )
    except OSError as error:
        result = _in_memory(files, keep=keep, workers=workers)
        why = error.strerror or str(error)
        note = f"decoded images could not be cached in {cache.root} ({why}): they are decoded again at the next start"
        return Decoded(result.images, result.masks, result.skipped, result.empty_masks, (note,))


def _decoding(files: ImageFiles, *, keep: bool, workers: int) -> Iterator[tuple[np.ndarray, np.ndarray | None] | str]:
    """Decode in order with several threads: Pillow decodes and resizes outside of Python's lock."""
    count = len(files.images)
    told = f"{'decoding' if keep else 'checking'} {count:,} images"
    columns = (TextColumn(told, markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if not console.is_terminal:
        console.print(f"{told} ...")
    with (
        large_images_allowed(),
        ThreadPoolExecutor(max(1, workers)) as pool,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=count)
        for start in range(0, count, _CHUNK):
            for result in pool.map(files.decode, range(start, min(start + _CHUNK, count))):
                progress.advance(task)
                yield result


def _collect(
    files: ImageFiles, put: Callable[[np.ndarray, np.ndarray | None], object], *, keep: bool, workers: int
) -> tuple[dict[int, str], int]:
    """Pass images and masks to `put`, if they are kept; return what cannot be read and how many masks are empty."""
    skipped, empty = {}, 0
    for position, result in enumerate(_decoding(files, keep=keep, workers=workers)):
        if isinstance(result, str):
            skipped[position] = result
            continue
        empty += result[1] is not None and not result[1].any()
        if keep:
            put(*result)
    return skipped, empty


def _build(folder: Path, files: ImageFiles, *, keep: bool, workers: int) -> None:
    # Plain writes, not a mapped file: a full disk is then an error that can be caught, not a crash.
    with open(folder / "images.bin", "wb") as images, open(folder / "masks.bin", "wb") as masks:

        def put(image: np.ndarray, mask: np.ndarray | None) -> None:
            _write(images, image)
            _write(masks, mask)

        skipped, empty = _collect(files, put, keep=keep, workers=workers)
    index = {
        "format": _FORMAT,
        "skipped": skipped,
        "empty_masks": empty,
        "kept": keep,
        "stamps": {name: _stamp(folder / name) for name in ("images.bin", "masks.bin")},
    }
    (folder / "index.json").write_text(json.dumps(sealed(index)))


def _load(folder: Path, files: ImageFiles) -> Decoded:
    index = read_sealed(folder / "index.json", format=_FORMAT, remedy="it is decoded anew")
    for name, stamp in index["stamps"].items():
        if _stamp(folder / name) != stamp:
            raise OSError(f"{folder / name} was changed")
    skipped = {int(position): str(reason) for position, reason in index["skipped"].items()}
    images = masks = None
    count, side = len(files.images) - len(skipped), files.image_size
    if index["kept"] and count:
        images = _mapped(folder / "images.bin", torch.uint8, (count, files.channels, side, side))
        if files.masked:
            masks = _mapped(folder / "masks.bin", torch.bool, (count, 1, side, side))
    return Decoded(images, masks, skipped, int(index["empty_masks"]))


def _in_memory(files: ImageFiles, *, keep: bool, workers: int) -> Decoded:
    count, side = len(files.images) if keep else 0, files.image_size
    images = torch.empty((count, files.channels, side, side), dtype=torch.uint8)
    masks = torch.empty((count if files.masked else 0, 1, side, side), dtype=torch.bool)
    place = itertools.count()

    def put(image: np.ndarray, mask: np.ndarray | None) -> None:
        readable = next(place)
        images[readable] = torch.from_numpy(image)
        if mask is not None:
            masks[readable] = torch.from_numpy(mask)

    skipped, empty = _collect(files, put, keep=keep, workers=workers)
    kept = len(files.images) - len(skipped)
    return Decoded(images[:kept] if len(images) else None, masks[:kept] if len(masks) else None, skipped, empty)


def _write(file: BinaryIO, values: np.ndarray | None) -> None:
    if values is not None:
        file.write(values.tobytes())


def _mapped(path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    # Private: a write to the tensor stays in this process.
    return torch.from_file(str(path), shared=False, size=int(np.prod(shape)), dtype=dtype).view(shape)


def _stamp(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _states(files: ImageFiles) -> Iterator[str]:
    for path, name in _paths(files):
        try:
            state = path.stat()
            # The change time cannot be set by hand, so that a file replaced under its old date is noticed, too.
            changes = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        except OSError as error:
            changes = [error.errno or 0]
        yield json.dumps([name, *changes])


def _contents(files: ImageFiles, workers: int) -> Iterator[str]:
    with ThreadPoolExecutor(max(1, workers)) as pool:
        yield from pool.map(_content, _paths(files))


def _content(file: tuple[Path, str]) -> str:
    path, name = file
    try:
        with open(path, "rb") as opened:
            return json.dumps([name, hashlib.file_digest(opened, "blake2b").hexdigest()])
    except OSError as error:
        return json.dumps([name, error.strerror])


def _paths(files: ImageFiles) -> list[tuple[Path, str]]:
    masks = [] if files.masks is None else [(mask, f"mask {number}") for number, mask in enumerate(files.masks)]
    return [(files.root / image, image) for image in files.images] + masks


def _digest(settings: str, lines: Iterable[str]) -> str:
    digest = hashlib.blake2b(settings.encode(), digest_size=20)
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
