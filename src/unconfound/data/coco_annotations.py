"""The annotated objects of COCO: which are samples, and what is said of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from unconfound.data.coco_masks import Segmentation, read_segmentation

# What COCO itself calls large. A crop then shows its object with no fewer pixels than it has at the usual sizes, and
# the training objects of 2017 fit into the usual 4 GiB at 64 x 64 pixels, which background swaps need.
LEAST_PIXELS = 96**2


@dataclass(frozen=True, eq=False)
class CocoObject:
    """An annotated object.

    Args:
        image: the file's path below the folder of the set.
        height: of the image.
        width: of the image.
        box: left, top, width and height in pixels.
        segmentation: its outline.
        label: number of its category.
    """

    image: str
    height: int
    width: int
    box: tuple[float, float, float, float]
    segmentation: Segmentation
    label: int


@dataclass(frozen=True, eq=False)
class Annotations:
    """The objects of one file of annotations.

    Args:
        objects: the samples, in the order of their images' names.
        classes: the names of the categories, in the order of their numbers.
        note: what was left out.
    """

    objects: tuple[CocoObject, ...]
    classes: tuple[str, ...]
    note: str


def read_annotations(path: Path, part: str) -> Annotations:
    """Read a file of instance annotations.

    Crowds (`iscrowd`), which outline no single object, and objects whose `area` is below `LEAST_PIXELS` are left out.

    Args:
        path: `instances_train2017.json` or another of that form.
        part: the folder of its images.

    Raises:
        ValueError: the file is damaged, an annotation lacks or contradicts something, or no object is left.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}; unpack it anew") from error
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise ValueError(f"{path} lacks one of the lists {', '.join(keys)}: instance annotations of COCO are needed")
    images = dict(_each(path, "image", content["images"], lambda entry: (entry["id"], _image(entry))))
    categories = sorted(
        _each(path, "category", content["categories"], lambda entry: (int(entry["id"]), str(entry["name"])))
    )
    label_of = {number: label for label, (number, _) in enumerate(categories)}
    if len(label_of) < len(categories):
        raise ValueError(f"{path} has {len(categories)} categories but {len(label_of)} numbers for them: repair it")
    found = [
        described
        for described in _each(
            path, "annotation", content["annotations"], lambda entry: _object(entry, part, images, label_of)
        )
    ]
    objects = sorted((each for each in found if isinstance(each, CocoObject)), key=lambda each: each.image)
    crowds, small = found.count("crowd"), found.count("small")
    if not objects:
        raise ValueError(
            f"{path} has no object of at least {LEAST_PIXELS:,} pixels among its {len(found):,} annotations "
            f"({crowds:,} crowds): nothing is left to read"
        )
    note = (
        f"{part}: {len(objects):,} of {len(found):,} annotated objects; left out are {crowds:,} crowds and "
        f"{small:,} objects of fewer than {LEAST_PIXELS:,} pixels"
    )
    return Annotations(tuple(objects), tuple(name for _, name in categories), note)


def _each(path: Path, what: str, entries: list[Any], read: Any) -> Iterable[Any]:
    """Read each entry of a list; what is wrong with one is said with its number."""
    for place, entry in enumerate(entries):
        try:
            yield read(entry)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            number = entry.get("id", f"at place {place}") if isinstance(entry, dict) else f"at place {place}"
            reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise ValueError(f"{path}, {what} {number}: {reason}; repair or remove it") from error


def _image(entry: dict[str, Any]) -> tuple[str, int, int]:
    name, height, width = str(entry["file_name"]), int(entry["height"]), int(entry["width"])
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"its file_name {name!r} leads out of the folder of images")
    if height < 1 or width < 1:
        raise ValueError(f"it has {width} x {height} pixels")
    return name, height, width


def _object(
    entry: dict[str, Any], part: str, images: dict[Any, tuple[str, int, int]], label_of: dict[int, int]
) -> CocoObject | str:
    if entry.get("iscrowd", 0):
        return "crowd"
    if not float(entry["area"]) >= LEAST_PIXELS:
        return "small"
    if entry["image_id"] not in images:
        raise ValueError(f"there is no image {entry['image_id']}")
    if entry["category_id"] not in label_of:
        raise ValueError(f"there is no category {entry['category_id']}")
    name, height, width = images[entry["image_id"]]
    box = entry["bbox"]
    left, top, across, down = (float(value) for value in box) if isinstance(box, list) and len(box) == 4 else (0.0,) * 4
    if not (math.isfinite(left) and math.isfinite(top) and 0 < across < math.inf and 0 < down < math.inf):
        raise ValueError(f"its bbox is {box}, not left, top, width and height in pixels")
    return CocoObject(
        image=f"{part}/{name}",
        height=height,
        width=width,
        box=(left, top, across, down),
        segmentation=read_segmentation(entry["segmentation"], height, width),
        label=label_of[entry["category_id"]],
    )
