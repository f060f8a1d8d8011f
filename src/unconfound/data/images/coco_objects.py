"""The objects of COCO, cut out of their images with their masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from unconfound.data.images.coco_annotations import CocoObject
from unconfound.data.images.coco_masks import segmentation_mask
from unconfound.data.images.decoded import ImageFiles
from unconfound.data.images.decoding import UnreadableImageError, checked_size, flattened, unreadable

# A crop is so many times as wide as the longer side of its object's box: a third of it is surroundings on either axis.
ENLARGED = 1.5


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
