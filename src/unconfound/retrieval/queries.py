"""What a user asks with: image files, folders, tables, rows of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Dataset, MemorySource, Schema, Source
from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.images.decoding import UnreadableImageError, decode_image, large_images_allowed
from unconfound.data.load import NAMED
from unconfound.data.tables.pixel_rows import as_rows
from unconfound.encoders.saved import Card
from unconfound.options.embedding import ReadingOptions
from unconfound.retrieval.data_splits import Split, check_fits, read_splits

SYNTAX = "give an image file, a folder of images, a table, or a row of one as FILE:ROW (rows count from 0)"


@dataclass(frozen=True, eq=False)
class Asked:
    """Queries of one source.

    Args:
        source: where they are.
        positions: which of its samples they are.
        names: of each query, as an index would store it.
        labels: the name of each query's class, None where it is not known.
    """

    source: Source
    positions: Int[Tensor, " queries"]
    names: Sequence[str]
    labels: Sequence[str | None]


def read_queries(
    words: Sequence[str], card: Card, *, data_root: Path | None = None, reading: ReadingOptions | None = None
) -> list[Asked]:
    """Read what a user asks with, as the encoder's own data were read, in the order of the words.

    A word is an image file; or data as `unconfound embed` takes them (a folder, a table, an array, texts, a name), all
    of whose samples are queries; or one sample of such data, DATA:ROW or DATA:SPLIT:ROW, which is how an index names
    it. Rows count from 0.

    Args:
        words: at least one.
        card: of the encoder.
        data_root: where the files of named data lie.
        reading: of images that do not fit into memory.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no words, an image that cannot be read, data of another kind than the encoder takes, or a row that
            is not there.
    """
    if not words:
        raise ValueError(f"search needs a query: {SYNTAX}")
    read: dict[str, list[Split]] = {}
    asked = []
    for is_image, group in groupby(words, key=_is_image):
        together = list(group)
        if is_image:
            asked.append(_images(together, card))
            continue
        for word in together:
            data, split, row = _address(word)
            if data not in read:
                read[data] = read_splits(data, card, data_root=data_root, reading=reading)
            asked += [_chosen(part, row, word) for part in _of_split(read[data], split, row, word)]
    return asked


def _is_image(word: str) -> bool:
    return Path(word).is_file() and Path(word).suffix.lower() in EXTENSIONS


def _images(files: Sequence[str], card: Card) -> Asked:
    """Decode image files as those of the encoder's data were."""
    channels, size = _channels_and_size(files[0], card)
    bits = card.restore.get("bits", 16)
    pixels = []
    with large_images_allowed():
        for file in files:
            try:
                pixels.append(decode_image(Path(file), size, channels, bits=bits)[0])
            except UnreadableImageError as error:
                raise ValueError(f"{file} is no image that can be read ({error}): leave it out") from error
    names = [os.path.abspath(file) for file in files]
    schema = Schema("images", (channels, size, size))
    source: Source = MemorySource("queries", schema, torch.from_numpy(np.stack(pixels)), names=names)
    if card.restore.get("kind") == "pixel-rows":
        source = as_rows(Dataset(source, {})).train
    check_fits(source, card, what=files[0])
    return Asked(source, torch.arange(len(files)), names, [None] * len(files))


def _channels_and_size(file: str, card: Card) -> tuple[int, int]:
    as_pixels = card.restore.get("kind") == "pixel-rows"
    if card.schema.modality != "images" and not as_pixels:
        raise ValueError(f"{file} is an image, the encoder takes {card.schema.modality}: {SYNTAX}")
    shape = card.schema.shape
    if as_pixels:
        size = card.restore.get("image_size")
        shape = (card.restore.get("channels", 3), *(size if isinstance(size, list) else (size, size)))
    if shape[1] != shape[2]:
        raise ValueError(f"{file} is made square, the encoder's images are {shape[1]} x {shape[2]}: ask with an array")
    return shape[0], shape[1]


def _address(word: str) -> tuple[str, str | None, int | None]:
    """Take a word apart into data, split and row; the last two only where the whole word names no data."""
    head, _, row = word.rpartition(":")
    data, _, split = head.rpartition(":")
    if _names_data(word):
        return word, None, None
    if not (_names_data(head) or _names_data(data)):
        raise FileNotFoundError(f"no query {word!r}: no such file, folder or data set is there; {SYNTAX}")
    if not row.isdecimal():
        raise ValueError(f"no query {word!r}: {row!r} is no row; {SYNTAX}")
    return (head, None, int(row)) if _names_data(head) else (data, split, int(row))


def _names_data(word: str) -> bool:
    return word in NAMED or (bool(word) and Path(word).exists())


def _of_split(parts: Sequence[Split], split: str | None, row: int | None, word: str) -> Sequence[Split]:
    if split is None:
        if row is not None and len(parts) > 1:
            raise ValueError(f"{word!r} does not say which split: {', '.join(part.split for part in parts)}")
        return parts
    found = [part for part in parts if part.split == split]
    if not found:
        raise ValueError(f"{word!r} names no split: use {', '.join(part.split for part in parts)}")
    return found


def _chosen(part: Split, row: int | None, word: str) -> Asked:
    if row is None:
        return Asked(part.source, torch.arange(len(part.source)), part.names, part.labels)
    if row >= len(part.source):
        raise ValueError(f"{word!r} is not there: rows are 0 to {len(part.source) - 1}")
    return Asked(part.source, torch.tensor([row]), [part.names[row]], [part.labels[row]])
