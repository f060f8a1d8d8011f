"""Tiny-ImageNet in its published layout: the two hundred classes of a course's challenge, 64 x 64 pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.folders import read_layout
from unconfound.data.files.numbered_lines import text_lines
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

TINY_IMAGENET = PublicSet(
    name="tiny-imagenet",
    modality="images",
    about="Tiny-ImageNet: 200 classes of ImageNet, 64 x 64 pixels",
    paper="Le and Yang, Tiny ImageNet Visual Recognition Challenge, 2015",
    source="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    reader="sets.tiny_imagenet:tiny_imagenet",
    folders=("tiny-imagenet-200",),
    counts={"training images": 100_000, "test images": 10_000},
)
_VALIDATION = "val/val_annotations.txt"


def tiny_imagenet(root: Path | None, *, reading: Reading) -> Dataset:
    """Read Tiny-ImageNet: its training images to train on, its validation images, which have labels, to test on.

    Classes are numbered in the order of their WordNet numbers, and called by the first of their words. `test/images`,
    whose labels were never published, is passed over.

    Args:
        root: the folder that holds `tiny-imagenet-200`, or that folder itself: `train/WNID/images/*.JPEG`,
            `val/images/*.JPEG`, `val/val_annotations.txt` and `words.txt`.
        reading: how images are decoded; without an image_size they keep theirs, 64.

    Raises:
        FileNotFoundError: the folder or files are missing.
        ValueError: a line is damaged, names an unknown class, or names an image twice; or too many images are damaged.
    """
    folder = published_folder(TINY_IMAGENET, root)
    need_files(TINY_IMAGENET, folder, [_VALIDATION, "words.txt", "train/", "val/images/"])
    train = read_layout(folder / "train")
    if train.classes is None:
        raise ValueError(f"{folder / 'train'} holds loose images: they belong into train/WNID/images")
    wnids = sorted(set(train.classes))
    class_of = _validation_classes(folder / _VALIDATION, wnids)
    there = {Path(file).name for file in read_layout(folder / "val" / "images").files}
    listed = sorted(class_of)
    labels = [*train.classes, *(class_of[file] for file in listed)]
    names = [*(f"train/{file}" for file in train.files), *(f"val/images/{file}" for file in listed)]
    unlisted = there - set(listed)
    note = f"images of val/images that are not in {_VALIDATION}, passed over: {len(unlisted):,}"
    table = ImageTable(
        name="tiny-imagenet",
        folder=folder,
        files=names,
        labels=torch.tensor([wnids.index(wnid) for wnid in labels]),
        classes=_words(folder / "words.txt", wnids),
        parts=part_numbers([len(train.files), 0, len(listed)]),
        notes=[note] if unlisted else [],
        published=TINY_IMAGENET.counts,
    )
    return read_image_table(table, reading)


def _validation_classes(path: Path, wnids: Sequence[str]) -> dict[str, str]:
    """Return the class of each validation image. A line is the file, the class and a box, between tabs."""
    class_of: dict[str, str] = {}
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        file, wnid = (*line.split("\t"), "")[:2]
        if not wnid or not file or "/" in file:
            raise ValueError(f"{path}, line {number} is {line[:80]!r}: a file and its class between tabs are needed")
        if wnid not in wnids:
            raise ValueError(f"{path}, line {number} names the class {wnid!r}, of which train holds no images")
        if file in class_of:
            raise ValueError(f"{path}, line {number} names {file} a second time: keep one of the lines")
        class_of[file] = wnid
    if not class_of:
        raise ValueError(f"{path} names no image: unpack it anew")
    return class_of


def _words(path: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    """Return the first word of each class, with its number where two classes share it (crane, a bird and a machine)."""
    entries = (line.partition("\t") for line in text_lines(path))
    words = {wnid: meaning.split(",")[0].strip() for wnid, _, meaning in entries}
    missing = [wnid for wnid in wnids if not words.get(wnid)]
    if missing:
        raise ValueError(f"{path} has no word for {len(missing)} of {len(wnids)} classes: {missing[0]} is the first")
    count = Counter(words[wnid] for wnid in wnids)
    return tuple(words[wnid] if count[words[wnid]] == 1 else f"{words[wnid]} ({wnid})" for wnid in wnids)
