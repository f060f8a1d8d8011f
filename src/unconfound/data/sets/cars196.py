"""Cars-196 (Stanford Cars): 196 models of cars, with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.image_table import ImageTable, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

CARS196 = PublicSet(
    name="cars196",
    modality="images",
    about="Cars-196 (Stanford Cars): 196 models of cars",
    paper="Krause, Stark, Deng and Fei-Fei, 3D Object Representations for Fine-Grained Categorization, 3dRR 2013",
    source="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    reader="sets.cars196:cars196",
    boxes=True,
    folders=("cars196", "stanford_cars", "cars"),
    counts={"training images": 8_144, "test images": 8_041, "classes": 196},
)
_ALL, _META, _TRAIN = "cars_annos.mat", "devkit/cars_meta.mat", "devkit/cars_train_annos.mat"
_TEST = "cars_test_annos_withlabels.mat"
_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def cars196(root: Path | None, *, reading: Reading, crop_boxes: bool = False) -> Dataset:
    """Read Cars-196: its training images to train on, its test images to test on, all of them of 196 classes.

    With `unconfound.data.divide.unseen_classes.with_unseen_classes` both are divided by class instead, as metric
    learning does: the classes 1 to 98 to train on, 99 to 196 to test on.

    Args:
        root: the folder that holds `cars196`, `stanford_cars` or `cars`, or that folder itself. In it are
            `cars_annos.mat` and `car_ims/*.jpg`, as first published in one piece; or `cars_train/`, `cars_test/`,
            `devkit/cars_meta.mat`, `devkit/cars_train_annos.mat` and `cars_test_annos_withlabels.mat`, this one in
            `devkit` or beside it, as torchvision keeps them.
        reading: how images are decoded.
        crop_boxes: cut out the square around the car's box, in place of the central one.

    Raises:
        FileNotFoundError: the folder or an annotation is missing.
        ValueError: an annotation is damaged, or too many images are missing or damaged.
    """
    folder = published_folder(CARS196, root)
    if (folder / _ALL).is_file():
        read = _read(folder / _ALL)
        classes = _names(read, folder / _ALL)
        rows = _rows(read, folder / _ALL, file="relative_im_path", tested="test")
    else:
        tested = next((name for name in (f"devkit/{_TEST}", _TEST) if (folder / name).is_file()), f"devkit/{_TEST}")
        need_files(CARS196, folder, [_META, _TRAIN, tested])
        classes = _names(_read(folder / _META), folder / _META)
        rows = [
            (f"{images}/{name}", label, part, box)
            for images, path, part in (("cars_train", folder / _TRAIN, 0), ("cars_test", folder / tested, 2))
            for name, label, _, box in _rows(_read(path), path, file="fname")
        ]
    wrong = next((row for row in rows if not 1 <= row[1] <= len(classes)), None)
    if wrong is not None:
        raise ValueError(f"cars196 gives {wrong[0]} the class {wrong[1]}: 1 to {len(classes)} are known")
    files, labels, parts, boxes = zip(*rows, strict=True)
    table = ImageTable(
        name="cars196",
        folder=folder,
        files=files,
        labels=torch.tensor(labels) - 1,
        classes=classes,
        parts=torch.tensor(parts),
        boxes=boxes if crop_boxes else None,
        published=CARS196.counts,
    )
    return read_image_table(table, reading)


def _read(path: Path) -> dict[str, Any]:
    """Read a file of MATLAB, which holds numbers and texts only."""
    from scipy.io import loadmat

    with naming(path, advice="; unpack it anew"):
        read: dict[str, Any] = loadmat(path, squeeze_me=True)
    return read


def _names(read: dict[str, Any], path: Path) -> list[str]:
    if "class_names" not in read:
        raise ValueError(f"{path} names no classes (class_names): use it as published")
    return [str(name) for name in np.atleast_1d(read["class_names"])]


def _rows(
    read: dict[str, Any], path: Path, *, file: str, tested: str | None = None
) -> list[tuple[str, int, int, tuple[float, float, float, float]]]:
    """Return file, class, part (0 to train, 2 to test) and box (left, top, width, height) of each annotation."""
    annotations = np.atleast_1d(read.get("annotations", np.empty(0)))
    needed = [file, "class", *_BOX, *([] if tested is None else [tested])]
    missing = [name for name in needed if name not in (annotations.dtype.names or ())]
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing)} in its annotations: use the file with labels, as published"
        )
    rows = []
    for each in annotations:
        left, top, right, bottom = (float(each[name]) for name in _BOX)
        part = 0 if tested is None else 2 * int(each[tested])
        # Boxes count pixels from 1, both ends included.
        rows.append(
            (str(each[file]), int(each["class"]), part, (left - 1, top - 1, right - left + 1, bottom - top + 1))
        )
    return rows
