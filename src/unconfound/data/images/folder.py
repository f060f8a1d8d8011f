"""A folder of images as a data set."""

from __future__ import annotations

from pathlib import Path

from unconfound.data.core.source import Dataset
from unconfound.data.core.subset import labelled_part
from unconfound.data.divide.splits import check_test_share, with_test
from unconfound.data.files.folders import read_layout
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_parts
from unconfound.data.images.reading import Reading


def image_folder(
    path: Path,
    *,
    masks: Path | None = None,
    reading: Reading | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    unseen_classes: bool = False,
) -> Dataset:
    """Read a folder of images: class folders, loose images without labels, or either under train and test.

    `unconfound.data.files.folders.read_layout` says which layouts are understood,
    `unconfound.data.images.decoding.decode_image` how a file becomes a square of pixels, and
    `unconfound.data.images.image_table.read_image_parts` what becomes of damaged files and where the pixels are kept.

    Args:
        path: the folder.
        masks: a folder of foreground masks, one for each image at the same relative path. None: the alpha channel of
            the images is their masks, where most have transparent parts.
        reading: how images and masks are decoded; by default that of `Reading`.
        test_share: share of each class to test on where the folder has no test part, in [0, 1).
        seed: for that split.
        unseen_classes: test folders may hold classes that the training folder lacks; every part then names all.

    Raises:
        FileNotFoundError: the folder, the folder of masks or a mask is missing.
        ValueError: the folder holds no images or an unclear mixture, too many of them are damaged, a mask is neither
            black and white nor read by `mask_values`, no mask shows any foreground, or an argument is out of its range.
    """
    reading = reading or Reading()
    check_test_share(test_share)
    if masks is None and reading.mask_values is not None:
        raise ValueError(f"mask_values say how masks are read: give the folder of the masks of {path}, too (--masks)")
    layout = read_layout(path, without=masks, unseen_classes=unseen_classes)
    classes = layout.class_names()
    table = ImageTable(
        name=path.name,
        folder=path,
        files=layout.files,
        labels=layout.labels(classes),
        classes=classes,
        parts=part_numbers([*layout.parts.values()]),
        part_names=[*layout.parts],
        masks=masks,
        alpha=True,
        notes=layout.notes,
    )
    tests = read_image_parts(table, reading)
    train = tests.pop("train")
    tests = {name: test for name, test in tests.items() if len(test)}
    dataset = Dataset(train=train, tests=tests, labelled=labelled_part(train), restore=reading.restore(train.schema))
    return dataset if len(layout.parts) > 1 else with_test(dataset, test_share, seed=seed)
