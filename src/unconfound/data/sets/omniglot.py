"""Omniglot: characters of fifty alphabets, each drawn by twenty people."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import count_notes, published_folder
from unconfound.data.files.walking import find_files
from unconfound.data.images.decoding import central_square, checked_size, unreadable
from unconfound.data.images.reading import image_restore
from unconfound.options.data_sets import PublicSet

OMNIGLOT = PublicSet(
    name="omniglot",
    modality="images",
    about="Omniglot: characters of alphabets, from its zips; with --unseen-classes",
    paper="Lake, Salakhutdinov and Tenenbaum, Human-level concept learning through probabilistic program induction, "
    "Science 2015",
    source="https://github.com/brendenlake/omniglot",
    licence="MIT",
    reader="sets.omniglot:omniglot",
    folders=("omniglot-py",),
    counts={
        "drawings in images_background": 19_280,
        "drawings in images_evaluation": 13_180,
        "drawings in images_background_small1": 2_720,
        "drawings in images_background_small2": 3_120,
    },
)
# What to train on and what to test on.
PAIRS = (("images_background", "images_evaluation"), ("images_background_small1", "images_background_small2"))
Drawings = dict[str, UInt8[np.ndarray, "size size"]]


def omniglot(root: Path | None, *, image_size: int | None = None) -> Dataset:
    """Read Omniglot: the alphabets of one package to train on, those of the other to test on.

    A class is a character, "Greek/character01". Alphabets that are in both packages are left out of the test. The ink
    is bright on black, as that of MNIST; the files have it the other way round. As the classes to test on are others,
    the test part is of use with `unconfound.data.divide.unseen_classes.with_unseen_classes` only.

    Args:
        root: the folder that holds `omniglot-py`, or that folder itself: `images_background` and `images_evaluation`,
            or, where neither is there, `images_background_small1` and `images_background_small2`; each as the `.zip`
            that is published or as the folder in it. One of a pair will do, which then is all there is to learn from.
        image_size: side of the images in pixels, or None for theirs, 105.

    Returns:
        uint8 images of one channel, in memory.

    Raises:
        FileNotFoundError: the folder is missing, or holds no package.
        ValueError: a package is damaged, or holds anything but drawings in ALPHABET/CHARACTER/.
    """
    folder = published_folder(OMNIGLOT, root)
    there = [
        [name for name in pair if (folder / name).is_dir() or (folder / f"{name}.zip").is_file()] for pair in PAIRS
    ]
    pair, names = next(((pair, found) for pair, found in zip(PAIRS, there, strict=True) if found), (PAIRS[0], []))
    if not names:
        raise FileNotFoundError(
            "omniglot needs images_background.zip and images_evaluation.zip, or images_background_small1.zip and "
            f"images_background_small2.zip, in {folder}: nothing is downloaded, put them there"
        )
    read = [_read(folder, name, image_size) for name in names]
    counts = {f"drawings in {name}": len(drawn) for name, drawn in zip(names, read, strict=True)}
    notes = count_notes(counts, {what: OMNIGLOT.counts[what] for what in counts})
    notes += [f"{name} is not there" for name in pair if name not in names]
    shared = sorted(set.intersection(*({_alphabet(name) for name in part} for part in read))) if len(read) > 1 else []
    if shared:
        read[1] = {name: pixels for name, pixels in read[1].items() if _alphabet(name) not in shared}
        notes.append(f"{', '.join(shared)} are in both packages: left out of {names[1]}")
    # The characters of the training alphabets come first, each part's in their own order.
    classes = [*dict.fromkeys(_character(name) for part in read for name in part)]
    sources = [_source("omniglot" if not place else "omniglot test", part, classes) for place, part in enumerate(read)]
    sources[0].notes = tuple(notes)
    tests: dict[str, Source] = {"test": sources[1]} if len(sources) > 1 and len(sources[1]) else {}
    restore = image_restore(sources[0].schema)
    return Dataset(train=sources[0], tests=tests, labelled=sources[0], restore=restore)


def _source(name: str, drawn: Drawings, classes: list[str]) -> MemorySource:
    number = {character: label for label, character in enumerate(classes)}
    inputs = torch.from_numpy(np.stack(list(drawn.values()))[:, None]) if drawn else torch.empty(0, 1, 1, 1).byte()
    labels = torch.tensor([number[_character(file)] for file in drawn], dtype=torch.long)
    return MemorySource(name, Schema("images", tuple(inputs.shape[1:]), tuple(classes)), inputs, labels, names=[*drawn])


def _read(folder: Path, name: str, image_size: int | None) -> Drawings:
    """Return the drawings of a package by ALPHABET/CHARACTER/FILE, in order."""
    drawn: Drawings = {}
    for file, opened in _opened(folder, name):
        path = PurePosixPath(file)
        if len(path.parts) != 3:
            raise ValueError(f"{name} in {folder} holds {file}, which is not in ALPHABET/CHARACTER/: move it away")
        try:
            with Image.open(opened) as image:
                side = min(checked_size(image)) if image_size is None else image_size
                pixels = central_square(image.convert("L"), side, Image.Resampling.BILINEAR)
        except Exception as error:
            raise ValueError(f"{name} in {folder} is damaged: {file}: {unreadable(error)}; unpack it anew") from error
        drawn[file] = 255 - np.asarray(pixels)
        if drawn[file].shape != next(iter(drawn.values())).shape:
            raise ValueError(f"{name} in {folder} holds drawings of several sizes, {file} the first: give --image-size")
    if not drawn:
        raise ValueError(f"{name} in {folder} holds no drawing: unpack it anew")
    return drawn


def _opened(folder: Path, name: str) -> Iterator[tuple[str, BinaryIO]]:
    """Open the drawings of a package one after the other, in the order of their names."""
    if (folder / name).is_dir():
        for file in find_files(folder / name, {".png"}).files:
            with open(folder / name / file, "rb") as opened:
                yield file, opened
        return
    archive = folder / f"{name}.zip"
    with naming(archive, advice="; fetch it anew"), zipfile.ZipFile(archive) as package:
        for inside in sorted(package.namelist()):
            start, _, file = inside.partition("/")
            if start == name and file.endswith(".png"):
                yield file, BytesIO(package.read(inside))


def _alphabet(file: str) -> str:
    return file.partition("/")[0]


def _character(file: str) -> str:
    return file.rpartition("/")[0]
