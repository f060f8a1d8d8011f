"""CUB-200-2011: two hundred species of birds, with boxes, and with outlines where they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.numbered_lines import numbered
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.decoding import Box
from unconfound.data.images.image_table import ImageTable, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

CUB = PublicSet(
    name="cub",
    modality="images",
    about="CUB-200-2011: 200 species of birds, with masks if its segmentations are present",
    paper="Wah, Branson, Welinder, Perona and Belongie, The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001",
    source="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    reader="sets.cub:cub",
    boxes=True,
    folders=("CUB_200_2011",),
    counts={"training images": 5_994, "test images": 5_794, "classes": 200},
)
_IMAGES, _LABELS, _CLASSES, _SPLIT = "images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt"
_BOXES = "bounding_boxes.txt"


def cub(root: Path | None, *, reading: Reading, crop_boxes: bool = False) -> Dataset:
    """Read CUB-200-2011: its training images to train on, its test images to test on, all of them of 200 classes.

    With `unconfound.data.divide.unseen_classes.with_unseen_classes` both are divided by class instead, as metric
    learning does: the classes 1 to 100 to train on, 101 to 200 to test on. Where the folder `segmentations` is there,
    it gives the masks: what more than half of those who outlined a bird have inside.

    Args:
        root: the folder that holds `CUB_200_2011`, or that folder itself: `images.txt`, `image_class_labels.txt`,
            `classes.txt`, `train_test_split.txt`, `bounding_boxes.txt` and `images/001.Black_footed_Albatross/*.jpg`,
            as published. `segmentations/001.Black_footed_Albatross/*.png`, published apart, lies in it or beside it.
        reading: how images are decoded.
        crop_boxes: cut out the square around the bird's box, in place of the central one.

    Raises:
        FileNotFoundError: the folder, a list or a mask is missing.
        ValueError: a list is damaged, or too many images are missing or damaged.
    """
    folder = published_folder(CUB, root)
    need_files(CUB, folder, [_IMAGES, _LABELS, _CLASSES, _SPLIT, *([_BOXES] if crop_boxes else [])])
    names, classes = numbered(folder / _IMAGES), numbered(folder / _CLASSES)
    given = _of_images(folder / _LABELS, names, [str(number) for number in classes])
    trains = _of_images(folder / _SPLIT, names, ["1", "0"])
    places = (folder / "segmentations", folder.parent / "segmentations")
    table = ImageTable(
        name="cub",
        folder=folder / "images",
        files=list(names.values()),
        labels=torch.tensor(given),
        classes=list(classes.values()),
        parts=torch.tensor(trains) * 2,
        boxes=_boxes(folder / _BOXES, names) if crop_boxes else None,
        masks=next((place for place in places if place.is_dir()), None),
        published=CUB.counts,
    )
    if reading.mask_values is None:
        # Shades count those who outlined a bird.
        reading = replace(reading, mask_values=("128-255",))
    return read_image_table(table, reading)


def _of_images(path: Path, names: dict[int, str], known: Sequence[str]) -> list[int]:
    """Return the place among the known values of that of each image."""
    values = numbered(path)
    place = {value: number for number, value in enumerate(known)}
    for number in names:
        if values.get(number) not in place:
            shown = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
            raise ValueError(f"{path} says {values.get(number, 'nothing')} of image {number}: {shown} is needed")
    return [place[values[number]] for number in names]


def _boxes(path: Path, names: dict[int, str]) -> list[Box]:
    """Return left, top, width and height of each image's box."""
    values = numbered(path)
    boxes = []
    for number in names:
        try:
            left, top, width, height = (float(value) for value in values.get(number, "").split())
            if not (width > 0 and height > 0):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{path} says {values.get(number, 'nothing')} of image {number}: left, top, width and height are needed"
            ) from None
        boxes.append((left, top, width, height))
    return boxes
