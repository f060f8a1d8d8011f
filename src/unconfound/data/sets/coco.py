"""COCO as a set of objects: one sample an annotated object, with its mask."""

from __future__ import annotations

from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images import coco_annotations, coco_masks, coco_objects
from unconfound.data.images.coco_annotations import read_annotations
from unconfound.data.images.coco_objects import ObjectFiles
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

COCO = PublicSet(
    name="coco",
    modality="images",
    about="COCO 2017: one sample per object, with its mask",
    paper="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014",
    source="https://cocodataset.org",
    licence="annotations CC BY 4.0; images under Flickr's terms of use",
    reader="sets.coco:coco",
    folders=("coco",),
)
# Objects have no size in common. At this one the objects of 2017 fit into the usual 4 GiB.
IMAGE_SIZE = 64

_PARTS = {"train": "train2017", "test": "val2017"}


def coco(root: Path | None, *, reading: Reading) -> Dataset:
    """Read the instances of COCO 2017: train2017 to train on, val2017 to test on.

    A sample is an object of at least `coco_annotations.LEAST_PIXELS` pixels: the square around its box,
    `coco_objects.ENLARGED` times the box's longer side but no longer than the image's shorter one, moved into the image
    where it would leave it. Its mask is the annotated outline in the same crop, its label the category. Another object
    that covers it or stands beside it counts as background.

    Args:
        root: the folder that holds `coco`, or that folder itself: `train2017/`, `val2017/`, and
            `annotations/instances_train2017.json` and `instances_val2017.json`.
        reading: how images are decoded; without an image_size they have 64 pixels a side.

    Raises:
        FileNotFoundError: the folder, the images' folders or the annotations are missing.
        ValueError: annotations are damaged, the two files disagree on the categories, or too many images are damaged.
    """
    folder = published_folder(COCO, root)
    stated = {part: f"annotations/instances_{inside}.json" for part, inside in _PARTS.items()}
    need_files(COCO, folder, [*stated.values(), *(f"{inside}/" for inside in _PARTS.values())])
    read = {part: read_annotations(folder / stated[part], inside) for part, inside in _PARTS.items()}
    classes = read["train"].classes
    if read["test"].classes != classes:
        differing = sorted(set(classes) ^ set(read["test"].classes))
        raise ValueError(
            f"{stated['train']} and {stated['test']} in {folder} have other categories "
            f"({', '.join(differing[:5]) or 'in another order'}): use two files of one release"
        )
    objects = tuple(each for part in read.values() for each in part.objects)
    files = ObjectFiles(
        root=folder,
        images=tuple(each.image for each in objects),
        # What the cache knows the masks by: the annotations, and how this version of ours cuts them out.
        masks=(
            *(folder / file for file in stated.values()),
            *(Path(module) for module in (coco_objects.__file__, coco_annotations.__file__, coco_masks.__file__)),
        ),
        image_size=reading.image_size or IMAGE_SIZE,
        channels=reading.channels,
        objects=objects,
    )
    notes = [note for part in read.values() for note in part.notes]
    if files.bytes_decoded() > reading.memory_gib * 2**30:
        notes.append(
            "no backgrounds are swapped, for this needs the images in memory: raise memory_gib or lower image_size"
        )
    table = ImageTable(
        name="coco",
        folder=folder,
        files=files.images,
        labels=torch.tensor([each.label for each in objects]),
        classes=classes,
        parts=part_numbers([len(read["train"].objects), 0, len(read["test"].objects)]),
        notes=notes,
    )
    return read_image_table(table, reading, files=files)
