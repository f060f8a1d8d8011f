"""COCO as a set of objects: one sample an annotated object, with its mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image

from unconfound.data.core.source import Dataset
from unconfound.data.images import coco_annotations, coco_masks
from unconfound.data.images.coco_annotations import CocoObject, read_annotations
from unconfound.data.images.coco_masks import segmentation_mask
from unconfound.data.images.decoded import ImageFiles
from unconfound.data.images.decoding import UnreadableImageError, checked_size, flattened, unreadable
from unconfound.data.images.parts import Reading, published_folder, read_parts
from unconfound.data.sets.torchvision_sets import need_files

# A crop is so many times as wide as the longer side of its object's box: a third of it is surroundings on either axis.
ENLARGED = 1.5
# Objects have no size in common. At this one the objects of 2017 fit into the usual 4 GiB.
IMAGE_SIZE = 64

_PARTS = {"train": "train2017", "test": "val2017"}


def coco(root: Path | None, *, reading: Reading) -> Dataset:
    """Read the instances of COCO 2017: train2017 to train on, val2017 to test on.

    A sample is an object of at least `coco_annotations.LEAST_PIXELS` pixels: the square around its box, `ENLARGED`
    times the box's longer side but no longer than the image's shorter one, moved into the image where it would leave
    it. Its mask is the annotated outline in the same crop, its label the category. Another object that covers it or
    stands beside it counts as background.

    Args:
        root: the folder that holds `coco`, or that folder itself: `train2017/`, `val2017/`, and
            `annotations/instances_train2017.json` and `instances_val2017.json`.
        reading: how images are decoded; without an image_size they have 64 pixels a side.

    Raises:
        FileNotFoundError: the folder, the images' folders or the annotations are missing.
        ValueError: annotations are damaged, the two files disagree on the categories, or too many images are damaged.
    """
    folder = published_folder("coco", root, "coco")
    stated = {part: f"annotations/instances_{inside}.json" for part, inside in _PARTS.items()}
    need_files("coco", folder, list(stated.values()))
    for inside in _PARTS.values():
        if not (folder / inside).is_dir():
            raise FileNotFoundError(
                f"coco needs the images {inside}/ in {folder}: nothing is downloaded, put them there"
            )
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
            *(Path(module) for module in (__file__, coco_annotations.__file__, coco_masks.__file__)),
        ),
        image_size=reading.image_size or IMAGE_SIZE,
        channels=reading.channels,
        objects=objects,
    )
    sources = read_parts(
        "coco",
        files,
        {part: len(annotations.objects) for part, annotations in read.items()},
        labels=torch.tensor([each.label for each in objects]),
        classes=classes,
        reading=reading,
        notes=[note for part in read.values() for note in part.notes],
    )
    train = sources["train"]
    if files.bytes_decoded() > reading.memory_gib * 2**30:
        train.notes = (
            *train.notes,
            "no backgrounds are swapped, for this needs the images in memory: raise memory_gib or lower image_size",
        )
    return Dataset(
        train=train,
        tests={"test": sources["test"]},
        labelled=train,
        restore={"kind": "images", "image_size": files.image_size, "channels": files.channels},
    )


@dataclass(frozen=True)
class ObjectFiles(ImageFiles):
    """Images with an object each, which is cut out when they are decoded; an image comes once for each of its objects.

    `masks` are the files that decide on the masks, not one an image.
    """

    objects: tuple[CocoObject, ...]

    def decode(self, position: int) -> tuple[np.ndarray, np.ndarray | None] | str:
        """Return the crop and the mask of the object at a position, or the reason why they cannot be had."""
        try:
            return decode_object(
                self.root / self.images[position], self.objects[position], self.image_size, self.channels
            )
        except UnreadableImageError as error:
            return str(error)

    def select(self, positions: Sequence[int]) -> ObjectFiles:
        """Return the objects at some positions."""
        objects = tuple(self.objects[position] for position in positions)
        return replace(self, images=tuple(each.image for each in objects), objects=objects)


def decode_object(
    path: Path, described: CocoObject, image_size: int, channels: int
) -> tuple[UInt8[np.ndarray, "channels size size"], Bool[np.ndarray, "1 size size"]]:
    """Decode the crop and the mask of an object, resized as `unconfound.data.images.decoding.decode_image` resizes.

    Args:
        path: of the image, whose pixels are taken as they are stored: annotations know no camera's orientation.
        described: the object.
        image_size: side of the results in pixels.
        channels: 3 for colours, 1 for brightness.

    Raises:
        UnreadableImageError: the file cannot be decoded, or has another size than its annotation says.
    """
    height, width = described.height, described.width
    left, top, side = crop_square(described)
    try:
        with Image.open(path) as image:
            if checked_size(image) != (width, height):
                raise ValueError(f"{image.width} x {image.height} pixels, where its annotation says {width} x {height}")
            # A JPEG is decoded at a fraction of its size, as long as that leaves the crop twice the pixels asked for.
            needed = 2 * image_size / side
            image.draft(None, (math.ceil(width * needed), math.ceil(height * needed)))
            image.load()
            across, down = image.width / width, image.height / height
            box = (
                left * across,
                top * down,
                min((left + side) * across, image.width),
                min((top + side) * down, image.height),
            )
            colours = flattened(image, "white").convert("RGB" if channels == 3 else "L")
            pixels = np.asarray(colours.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box))
        drawn = Image.fromarray(segmentation_mask(described.segmentation, height, width).astype(np.uint8))
        shape = drawn.resize(
            (image_size, image_size), Image.Resampling.NEAREST, box=(left, top, left + side, top + side)
        )
    except Exception as error:
        raise unreadable(error) from error
    image_pixels = np.ascontiguousarray(pixels.reshape(image_size, image_size, channels).transpose(2, 0, 1))
    return image_pixels, np.asarray(shape)[None] > 0


def crop_square(described: CocoObject) -> tuple[float, float, float]:
    """Return left, top and side of the square around an object, in pixels; it lies inside of the image."""
    left, top, width, height = described.box
    side = min(ENLARGED * max(width, height), described.width, described.height)
    return (
        min(max(left + (width - side) / 2, 0), described.width - side),
        min(max(top + (height - side) / 2, 0), described.height - side),
        side,
    )
