"""ImageNet-100: the hundred classes of ImageNet that contrastive methods are compared on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.folders import read_layout
from unconfound.data.files.set_folder import published_folder
from unconfound.data.files.walking import of_system
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

IMAGENET100 = PublicSet(
    name="imagenet100",
    modality="images",
    about="ImageNet-100: a hundred classes of ImageNet",
    paper="Tian, Krishnan and Isola, Contrastive Multiview Coding, ECCV 2020, of Russakovsky et al., ImageNet Large "
    "Scale Visual Recognition Challenge, IJCV 2015",
    source="https://www.image-net.org",
    licence="non-commercial research and education only",
    reader="sets.imagenet100:imagenet100",
    folders=("imagenet100",),
)
_LIST = "imagenet100.txt"
_CLASSES = 100


def imagenet100(root: Path | None, *, reading: Reading) -> Dataset:
    """Read a hundred classes of ImageNet: its training images to train on, its validation images to test on.

    Which hundred is said by `imagenet100.txt`, one WordNet number a line, the list that "Contrastive Multiview Coding"
    (Tian, Krishnan and Isola, ECCV 2020) published. Without it, `train` must hold a hundred class folders and no more.
    Classes are numbered in the order of their WordNet numbers, by which they are called.

    Args:
        root: the folder that holds `imagenet100`, or that folder itself: `train/WNID/*.JPEG`, `val/WNID/*.JPEG` and
            `imagenet100.txt`. Folders of other classes are not looked into.
        reading: how images are decoded; without an image_size as in any folder, which is 224 for ImageNet.

    Raises:
        FileNotFoundError: the folder, the list, or the folder of a class is missing.
        ValueError: the list is damaged, or too many images are.
    """
    folder = published_folder(IMAGENET100, root)
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f"imagenet100 needs the class folders of ImageNet in {folder / part}: there is no such folder; "
                "nothing is downloaded, put them there"
            )
    wnids, note = _chosen(folder)
    missing = [f"{part}/{wnid}" for part in ("train", "val") for wnid in wnids if not (folder / part / wnid).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"imagenet100 needs {len(missing)} more class folders in {folder}: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''} (validation images lie in class folders, too)"
        )
    found = {part: _files(folder, part, wnids) for part in ("train", "val")}
    listed = [each for part in found.values() for each in part]
    table = ImageTable(
        name="imagenet100",
        folder=folder,
        files=[file for file, _ in listed],
        labels=torch.tensor([label for _, label in listed]),
        classes=wnids,
        parts=part_numbers([len(found["train"]), 0, len(found["val"])]),
        notes=[note],
    )
    return read_image_table(table, reading)


def _chosen(folder: Path) -> tuple[list[str], str]:
    """Return the classes in order, and a note that says where they come from."""
    path = folder / _LIST
    if path.is_file():
        wnids = path.read_text(encoding="utf-8", errors="replace").split()
        wrong = [wnid for wnid in wnids if not re.fullmatch(r"n\d{8}", wnid)]
        if wrong:
            raise ValueError(f"{path} holds {wrong[0][:40]!r}, which is no WordNet number such as n01440764")
        if len(wnids) != _CLASSES or len(set(wnids)) != _CLASSES:
            raise ValueError(
                f"{path} holds {len(wnids)} lines with {len(set(wnids))} different classes: {_CLASSES} are needed"
            )
        return sorted(wnids), f"the classes are the {_CLASSES} of {_LIST}"
    there = sorted(entry.name for entry in (folder / "train").iterdir() if entry.is_dir() and not of_system(entry.name))
    if len(there) != _CLASSES:
        raise FileNotFoundError(
            f"imagenet100 needs {_LIST} in {folder}, for train holds {len(there):,} class folders, not {_CLASSES}: "
            "the list, one WordNet number a line, is published in the repository HobbitLong/CMC; "
            "nothing is downloaded, put it there"
        )
    return there, f"the classes are the {_CLASSES} folders of train: there is no {_LIST} to compare them with"


def _files(folder: Path, part: str, wnids: Iterable[str]) -> list[tuple[str, int]]:
    """Return the images of each class, with its number."""
    return [
        (f"{part}/{wnid}/{file}", label)
        for label, wnid in enumerate(wnids)
        for file in read_layout(folder / part / wnid).files
    ]
