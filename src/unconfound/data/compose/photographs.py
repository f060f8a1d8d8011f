"""Photographs as scenes to stand on: cut into disjoint training and test regions, from which crops are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from PIL import Image, ImageOps
from torch import Tensor

from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.files.walking import of_system
from unconfound.data.images.decoding import flattened

# The side of a crop, as a share of the shorter side of the scene's narrowest region.
ZOOMS = (0.8, 0.65, 0.5)


@dataclass(frozen=True, eq=False)
class Scene:
    """The surroundings of one class: regions of one or several photographs, no pixel of which is in both splits."""

    train: tuple[UInt8[ndarray, "_ _ 3"], ...]
    test: tuple[UInt8[ndarray, "_ _ 3"], ...]


def cut(photographs: Sequence[UInt8[ndarray, "_ _ 3"]], *, train_share: float = 0.6, stripes: int = 1) -> Scene:
    """Cut photographs across their longer side into training and test regions.

    Args:
        photographs: one or several, of any size.
        train_share: the share of the longer side that goes to training, in (0, 1).
        stripes: how often training and test regions alternate in each photograph: more of them make the two splits
            look more alike, and leave narrower crops.

    Raises:
        ValueError: a share outside (0, 1), no stripe, no photograph, or a region narrower than 2 pixels.
    """
    if not 0 < train_share < 1:
        raise ValueError(f"train_share is {train_share}: choose a share above 0 and below 1")
    if stripes < 1 or not photographs:
        raise ValueError(f"a scene needs photographs and a stripe: got {len(photographs)} and {stripes}")
    train, test = [], []
    for photograph in photographs:
        axis = int(photograph.shape[1] >= photograph.shape[0])
        length = photograph.shape[axis]
        starts = [round(length * stripe / stripes) for stripe in range(stripes + 1)]
        for start, end in pairwise(starts):
            border = start + round((end - start) * train_share)
            first, second = np.split(photograph.take(range(start, end), axis), [border - start], axis)
            if min(*first.shape[:2], *second.shape[:2]) < 2:
                raise ValueError(
                    f"a photograph of {photograph.shape[1]} x {photograph.shape[0]} pixels is too small for "
                    f"{stripes} stripes with a training share of {train_share}: use a larger one or fewer stripes"
                )
            train.append(first)
            test.append(second)
    return Scene(tuple(train), tuple(test))


def crops(
    scenes: Sequence[Scene],
    which: Int64[ndarray, " crops"],
    *,
    split: str,
    size: int,
    rng: np.random.Generator,
) -> UInt8[Tensor, "crops 3 size size"]:
    """Draw one square crop for each entry of `which`: region, zoom and position at random.

    Each region is resized once for each zoom, so a crop is a window of ready pixels: tens of thousands take a second.

    Args:
        scenes: what to draw from.
        which: the scene of each crop.
        split: "train" or "test".
        size: pixels of a side.
        rng: the only randomness.
    """
    regions = [getattr(scene, split) for scene in scenes]
    zoom = rng.integers(len(ZOOMS), size=len(which))
    region, row, column = rng.random((3, len(which)))
    region = (region * np.array([len(choice) for choice in regions])[which]).astype(int)
    drawn = np.empty((len(which), 3, size, size), np.uint8)
    # Sorting brings the crops of one region and zoom together; the drawing above does not depend on the order.
    keys, inverse = np.unique(np.stack([which, region, zoom], 1), axis=0, return_inverse=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    for (scene, piece, level), samples in zip(keys, members if len(keys) else [], strict=True):
        # Both splits are seen at the same scale, or the scale would tell them apart.
        narrow = min(min(part.shape[:2]) for part in (*scenes[scene].train, *scenes[scene].test))
        windows = _windows(regions[scene][piece], side=max(1.0, ZOOMS[level] * narrow), size=size)
        tops = (row[samples] * windows.shape[0]).astype(int)
        lefts = (column[samples] * windows.shape[1]).astype(int)
        drawn[samples] = windows[tops, lefts]
    return torch.from_numpy(drawn)


def read_photographs(folder: Path) -> tuple[dict[str, UInt8[ndarray, "_ _ 3"]], list[str]]:
    """Read the photographs of a folder by file name, in the order of their names.

    Returns:
        The photographs, upright and in RGB, and a note for each file that could not be read.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no readable photograph in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of photographs at {folder}")
    found: dict[str, UInt8[ndarray, "_ _ 3"]] = {}
    notes = []
    named = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not of_system(path.name))
    for path in sorted(named):
        try:
            with Image.open(path) as image:
                upright = flattened(ImageOps.exif_transpose(image), "white")
                found[path.name] = np.asarray(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            notes.append(f"photograph {path.name} is left out: {error}")
    if not found:
        raise ValueError(f"no readable photograph in {folder}: expected {', '.join(sorted(EXTENSIONS))} files")
    return found, notes


def deal(
    files: Sequence[str], classes: Sequence[str], *, each: int = 1, rng: np.random.Generator
) -> dict[str, Sequence[str]]:
    """Give each class `each` photographs of its own, at random.

    Raises:
        ValueError: there are too few.
    """
    if len(files) < each * len(classes):
        told = "each class needs its own" if each == 1 else f"each class needs {each} of its own"
        raise ValueError(f"{len(files)} photographs for {len(classes)} classes: {told}")
    order = rng.permutation(len(files))
    return {
        label: [files[photograph] for photograph in order[each * place : each * (place + 1)]]
        for place, label in enumerate(classes)
    }


def pick(
    found: Mapping[str, UInt8[ndarray, "_ _ 3"]], scenes: Mapping[str, Sequence[str]], label: str
) -> list[UInt8[ndarray, "_ _ 3"]]:
    """Return the photographs that are named for a class.

    Raises:
        FileNotFoundError: one of them is not among those found.
        ValueError: none is named.
    """
    if not scenes.get(label):
        raise ValueError(f"scenes names no photograph for the class {label!r}")
    for file in scenes[label]:
        if file not in found:
            raise FileNotFoundError(f"the photograph {file} of the class {label!r} is not in the folder")
    return [found[file] for file in scenes[label]]


def _windows(region: UInt8[ndarray, "_ _ 3"], *, side: float, size: int) -> UInt8[ndarray, "tops lefts 3 size size"]:
    """Every window of `size` pixels of a region resized so that a square of `side` pixels becomes `size` pixels."""
    height, width = (max(size, round(length * size / side)) for length in region.shape[:2])
    # Pillow resizes bytes in fixed-point arithmetic: the same bits on every machine.
    resized = Image.fromarray(region).resize((width, height), Image.Resampling.BICUBIC)
    return np.lib.stride_tricks.sliding_window_view(np.asarray(resized), (size, size), axis=(0, 1))
