"""Tiny-ImageNet in its published layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.folders import read_layout
from unconfound.data.images.parts import Reading, published_folder, read_parts
from unconfound.data.sets.torchvision_sets import need_files

_VALIDATION = "val/val_annotations.txt"
_PUBLISHED = {"train": 100_000, "val": 10_000}


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
    folder = published_folder("tiny-imagenet", root, "tiny-imagenet-200")
    need_files("tiny-imagenet", folder, [_VALIDATION, "words.txt"])
    for inside in ("train", "val/images"):
        if not (folder / inside).is_dir():
            raise FileNotFoundError(
                f"tiny-imagenet needs the folder {inside} in {folder}: nothing is downloaded, put it there"
            )
    train = read_layout(folder / "train").train
    if train.classes is None:
        raise ValueError(f"{folder / 'train'} holds loose images: they belong into train/WNID/images")
    wnids = sorted(set(train.classes))
    class_of = _validation_classes(folder / _VALIDATION, wnids)
    there = {Path(file).name for file in read_layout(folder / "val" / "images").train.files}
    listed = sorted(class_of)
    labels = [*train.classes, *(class_of[file] for file in listed)]
    names = [*(f"train/{file}" for file in train.files), *(f"val/images/{file}" for file in listed)]
    files, notes = reading.files(folder, names)
    counts = {"train": len(train.files), "val": len(listed)}
    notes += [
        f"subset: {count:,} of {_PUBLISHED[part]:,} images of {part}"
        for part, count in counts.items()
        if count != _PUBLISHED[part]
    ]
    if unlisted := there - set(listed):
        notes.append(f"images of val/images that are not in {_VALIDATION}, passed over: {len(unlisted):,}")
    sources = read_parts(
        "tiny-imagenet",
        files,
        {"train": counts["train"], "test": counts["val"]},
        labels=torch.tensor([wnids.index(wnid) for wnid in labels]),
        classes=_words(folder / "words.txt", wnids),
        reading=reading,
        notes=notes,
    )
    return Dataset(
        train=sources["train"],
        tests={"test": sources["test"]},
        labelled=sources["train"],
        restore={"kind": "images", "image_size": files.image_size, "channels": files.channels},
    )


def _validation_classes(path: Path, wnids: Sequence[str]) -> dict[str, str]:
    """Return the class of each validation image. A line is the file, the class and a box, between tabs."""
    class_of: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
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
    entries = (line.partition("\t") for line in _lines(path))
    words = {wnid: meaning.split(",")[0].strip() for wnid, _, meaning in entries}
    missing = [wnid for wnid in wnids if not words.get(wnid)]
    if missing:
        raise ValueError(f"{path} has no word for {len(missing)} of {len(wnids)} classes: {missing[0]} is the first")
    count = Counter(words[wnid] for wnid in wnids)
    return tuple(words[wnid] if count[words[wnid]] == 1 else f"{words[wnid]} ({wnid})" for wnid in wnids)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}; unpack it anew") from error
