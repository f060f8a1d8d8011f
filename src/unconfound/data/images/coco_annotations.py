"""The annotated objects of COCO: which are samples, and what is said of each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from unconfound.data.files.damaged import naming
from unconfound.data.files.walking import same_form
from unconfound.data.images.coco_masks import (
    Segmentation,
    has_area,
    read_segmentation,
    segmentation_area,
    segmentation_box,
)

# What COCO itself calls large. A crop then shows its object with no fewer pixels than it has at the usual sizes, and
# the training objects of 2017 fit into the usual 4 GiB at 64 x 64 pixels, which background swaps need.
LEAST_PIXELS = 96**2
_CROWD, _SMALL = "crowds", f"objects of fewer than {LEAST_PIXELS:,} pixels"
_BARE = "objects without an outline"

Read = TypeVar("Read")


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


class CocoImage(NamedTuple):
    """An image of the set: its file, and its size in pixels."""

    name: str
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.name} of {self.width} x {self.height} pixels"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The objects of one file of annotations.

    Args:
        objects: the samples, in the order of their images' names.
        classes: the names of the categories, each once, in the order of their numbers.
        notes: what was left out or joined.
    """

    objects: tuple[CocoObject, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read_annotations(path: Path, part: str) -> Annotations:
    """Read a file of instance annotations.

    Crowds (`iscrowd`), which outline no single object, objects whose outline is missing or holds no pixel, and those of
    fewer than `LEAST_PIXELS` pixels are left out. Where an annotation lacks its `area` or `bbox`, the pixels of its
    outline say it. Numbers may be written as text. Categories of one name are one class. What is listed twice alike
    counts once.

    Args:
        path: `instances_train2017.json` or another of that form.
        part: the folder of its images.

    Raises:
        ValueError: the file is damaged, an annotation lacks or contradicts something, one number stands for two images
            or categories, or no object is left.
    """
    with naming(path, advice="; unpack it anew"):
        content = json.loads(path.read_bytes())
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise ValueError(f"{path} lacks one of the lists {', '.join(keys)}: instance annotations of COCO are needed")
    images = _by_number(path, "image", content["images"], _image)
    categories = _by_number(path, "category", content["categories"], lambda entry: same_form(str(entry["name"])))
    classes, notes = _classes(categories, part)
    label_of = {number: classes.index(name) for number, name in categories.items()}
    entries = _once(content["annotations"])
    found = list(_each(path, "annotation", entries, lambda entry: _object(entry, part, images, label_of)))
    objects = sorted((each for each in found if isinstance(each, CocoObject)), key=lambda each: each.image)
    left_out = {what: found.count(what) for what in (_CROWD, _SMALL, _BARE)}
    if not objects:
        raise ValueError(
            f"{path} has no object of at least {LEAST_PIXELS:,} pixels among its {len(found):,} annotations "
            f"({left_out[_CROWD]:,} crowds): nothing is left to read"
        )
    told = f"{left_out[_CROWD]:,} {_CROWD} and {left_out[_SMALL]:,} {_SMALL}"
    if left_out[_BARE]:
        told = f"{left_out[_CROWD]:,} {_CROWD}, {left_out[_SMALL]:,} {_SMALL} and {left_out[_BARE]:,} {_BARE}"
    notes.insert(0, f"{part}: {len(objects):,} of {len(found):,} annotated objects; left out are {told}")
    if repeated := len(content["annotations"]) - len(entries):
        notes.append(f"{part}: {repeated:,} annotations are listed twice alike: they count once")
    return Annotations(tuple(objects), classes, tuple(notes))


def _by_number(path: Path, what: str, entries: list[Any], read: Callable[[dict[str, Any]], Read]) -> dict[str, Read]:
    """Return what the entries of a list say by their `id`, in the order of these; one without is referred to by none.

    Raises:
        ValueError: two that differ have one number, as after a merge of two files.
    """
    found: dict[str, Read] = {}
    for number, said in _each(path, what, entries, lambda entry: (_number(entry.get("id")), read(entry))):
        if number is not None and found.setdefault(number, said) != said:
            raise ValueError(
                f"{path}: the {what} number {number} stands for {found[number]} and for {said}; give each {what} a "
                "number of its own, as two files that were merged need"
            )
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def _classes(categories: dict[str, str], part: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the categories, each once, and notes on those of one name."""
    numbers: dict[str, list[str]] = {}
    for number, name in categories.items():
        numbers.setdefault(name, []).append(number)
    notes = [
        f"{part}: the categories {' and '.join(several)} are both called {name}: they are one class"
        for name, several in numbers.items()
        if len(several) > 1
    ]
    return tuple(numbers), notes


def _once(entries: list[Any]) -> list[Any]:
    """Return the annotations without those that repeat another with the same number."""
    first: dict[str, Any] = {}
    kept = []
    for entry in entries:
        number = _number(entry.get("id")) if isinstance(entry, dict) else None
        if number is None or number not in first or first[number] != entry:
            kept.append(entry)
        if number is not None:
            first.setdefault(number, entry)
    return kept


def _each(path: Path, what: str, entries: list[Any], read: Callable[[dict[str, Any]], Read]) -> Iterable[Read]:
    """Read each entry of a list; what is wrong with one is said with its number."""
    for place, entry in enumerate(entries):
        number = f"at place {place}"
        try:
            if not isinstance(entry, dict):
                raise TypeError(f"it is {str(entry)[:40]!r}, no object of JSON")
            number = _number(entry.get("id")) or number
            yield read(entry)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise ValueError(f"{path}, {what} {number}: {reason}; repair or remove it") from error


def _number(value: object) -> str | None:
    """Return a number or name as text that compares: 7, 7.0, "7" and "007" are the same; None for neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip()
    with suppress(ValueError):
        return str(int(text.removesuffix(".0")))
    return text or None


def _image(entry: dict[str, Any]) -> CocoImage:
    name, height, width = str(entry["file_name"]), int(entry["height"]), int(entry["width"])
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"its file_name {name!r} leads out of the folder of images")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"its file_name {name!r} holds characters that no file's name has")
    if height < 1 or width < 1:
        raise ValueError(f"it has {width} x {height} pixels")
    return CocoImage(name, height, width)


def _object(
    entry: dict[str, Any], part: str, images: dict[str, CocoImage], label_of: dict[str, int]
) -> CocoObject | str:
    if float(entry.get("iscrowd") or 0):
        return _CROWD
    area = _area(entry.get("area"))
    if area is not None and area < LEAST_PIXELS:
        return _SMALL
    outline = entry.get("segmentation")
    if isinstance(outline, list):
        outline = [polygon for polygon in outline if polygon != []]
    if outline is None or outline in ([], {}):
        return _BARE
    image, category = _number(entry["image_id"]), _number(entry["category_id"])
    if image not in images:
        raise ValueError(f"there is no image {entry['image_id']}")
    if category not in label_of:
        raise ValueError(f"there is no category {entry['category_id']}")
    name, height, width = images[image]
    segmentation = read_segmentation(outline, height, width)
    if area is None or not has_area(segmentation, height, width):
        pixels = segmentation_area(segmentation, height, width)
        if not pixels:
            return _BARE
        if area is None and pixels < LEAST_PIXELS:
            return _SMALL
    box = entry.get("bbox")
    return CocoObject(
        image=f"{part}/{name}",
        height=height,
        width=width,
        box=segmentation_box(segmentation, height, width) if box in (None, []) else _box(box),
        segmentation=segmentation,
        label=label_of[category],
    )


def _area(value: object) -> float | None:
    """Return an area in pixels, None where none is stated."""
    try:
        area = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return area if math.isfinite(area) else None


def _box(box: object) -> tuple[float, float, float, float]:
    left, top, across, down = (float(value) for value in box) if isinstance(box, list) and len(box) == 4 else (0.0,) * 4
    if not (math.isfinite(left) and math.isfinite(top) and 0 < across < math.inf and 0 < down < math.inf):
        raise ValueError(f"its bbox is {box}, not left, top, width and height in pixels")
    return left, top, across, down
