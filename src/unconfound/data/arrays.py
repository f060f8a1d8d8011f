"""Arrays in .npy and .npz files as data sets of images or of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unconfound.data.core.categories import encode
from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.core.subset import labelled_part
from unconfound.data.divide.splits import check_test_share, with_test
from unconfound.data.files.array_files import ArrayFile, check_finite_array, read_arrays, value_range
from unconfound.data.images.mask_values import black_and_white, listed_levels
from unconfound.data.images.reading import image_restore


def is_rows(path: Path) -> bool:
    """Say whether a file holds rows of a table ([samples, features]) and not images.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as arrays.
    """
    return read_arrays(path).arrays["samples"].ndim == 2


def image_arrays(path: Path, *, test_share: float = 0.2, seed: int = 0) -> Dataset:
    """Read images from an .npy file, or from an .npz file with labels, groups, masks and test samples.

    `unconfound.data.files.array_files.read_arrays` gives the names of the arrays. Images are uint8, or float in [0, 1],
    of shape [samples, height, width], or with any number of channels, first or last. Of the two candidate axes the
    shorter one is taken for the channels; an .npz may say it by `layout`, "channels-first" or "channels-last". Labels
    and groups are integers or strings; the label -1 or "" marks an unlabelled sample. Masks are boolean or 0 and 1,
    else the foreground is where they exceed half of their range.

    Args:
        path: the file.
        test_share: share of each class to test on where the file has no test samples, in [0, 1).
        seed: for that split.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or holds Python objects; values are NaN, infinite, of another type or out of
            range; lengths differ; it is unclear which axis holds the channels.
    """
    file = read_arrays(path)
    axis, note = _channel_axis(file)
    dataset = array_dataset(file, partial(_images, axis=axis), notes=[note], test_share=test_share, seed=seed)
    return replace(dataset, restore=image_restore(dataset.train.schema))


def row_arrays(path: Path, *, test_share: float = 0.2, seed: int = 0) -> Dataset:
    """Read the rows of a table from an .npy file, or from an .npz file with labels, groups and test rows.

    Arguments and errors are those of `image_arrays`. Rows are numbers of any kind, of shape [samples, features]; they
    become float32.
    """
    dataset = array_dataset(read_arrays(path), _rows, notes=[], test_share=test_share, seed=seed)
    return replace(dataset, restore={"kind": "rows", "features": dataset.train.schema.shape[0]})


def array_dataset(
    file: ArrayFile,
    read: Callable[[ArrayFile, Source | None], Source],
    *,
    notes: list[str],
    test_share: float,
    seed: int,
) -> Dataset:
    """Make a data set of a file; without test samples, they are drawn from the training samples.

    Args:
        file: the arrays.
        read: returns the samples to train on and, given their source, those to test on; it may add to `notes`.
        notes: for the run's log.
        test_share: share of each class to draw, in [0, 1).
        seed: for that draw.

    Raises:
        ValueError: training and test samples have different shapes, or the share is out of its range.
    """
    check_test_share(test_share)
    train = read(file, None)
    tests = {"test": read(file, train)} if file.test() else {}
    for test in tests.values():
        if test.schema.shape != train.schema.shape:
            raise ValueError(
                f"{file.path} holds samples of shape {train.schema.shape} but test samples of shape {test.schema.shape}"
            )
    train.notes = (*notes, *file.notes)
    return with_test(Dataset(train, tests, labelled_part(train)), test_share, seed=seed)


def _images(file: ArrayFile, train: Source | None, *, axis: int | None) -> MemorySource:
    arrays, what = part_of(file, train)
    images = arrays["samples"]
    if images.ndim != (3 if axis is None else 4):
        raise ValueError(f"{what}images have the shape {images.shape}, unlike those to train on")
    if images.dtype.kind == "f":
        check_finite_array(images, what=f"{what}images")
        low, high = value_range(images)
        if low < 0 or high > 1:
            raise ValueError(
                f"{what}images are {images.dtype} from {low:g} to {high:g}: floats must lie in [0, 1], or save uint8"
            )
        images = images.astype(np.float32, copy=False)
    elif images.dtype != np.uint8:
        raise ValueError(f"{what}images are {images.dtype}: save them as uint8 (0 to 255) or as floats in [0, 1]")
    images = images[:, None] if axis is None else np.moveaxis(images, axis, 1)
    schema, labels, groups = targets_of(file, Schema("images", images.shape[1:]), train=train)
    masks = None if "masks" not in arrays else _masks(arrays["masks"], what, images.shape)
    return MemorySource(name_of(file, train), schema, torch.from_numpy(images), labels, groups, masks)


def _rows(file: ArrayFile, train: Source | None) -> MemorySource:
    arrays, what = part_of(file, train)
    rows = arrays["samples"]
    if rows.ndim != 2:
        raise ValueError(f"{what}rows have the shape {rows.shape}: [samples, features] is needed")
    if rows.dtype.kind not in "fiub":
        raise ValueError(f"{what}rows are {rows.dtype}: numbers are needed")
    with np.errstate(over="ignore"):  # becomes infinite, which is refused next
        rows = rows.astype(np.float32, copy=False)
    check_finite_array(rows, what=f"{what}rows")
    schema, labels, groups = targets_of(file, Schema("tables", rows.shape[1:]), train=train)
    return MemorySource(name_of(file, train), schema, torch.from_numpy(rows), labels, groups)


def part_of(file: ArrayFile, train: Source | None) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays to train on, or those of the test once there is a `train`, and how errors call them."""
    return (file.arrays, f"{file.path}: ") if train is None else (file.test(), f"{file.path}: test ")


def targets_of(
    file: ArrayFile, schema: Schema, *, train: Source | None
) -> tuple[Schema, Int[Tensor, " samples"] | None, Int[Tensor, " samples"] | None]:
    """Return the schema with classes and groups, the labels and the groups; a test has the names of the training."""
    arrays, what = part_of(file, train)
    labels = groups = None
    classes = () if train is None else train.schema.classes
    if "labels" in arrays:
        known = None if train is None else classes
        labels, classes = encode(arrays["labels"], what=f"{what}labels", known=known, unlabelled=True)
        labels = labels if classes else None
    group_names = _group_names(file)
    if "groups" in arrays:
        groups, _ = encode(arrays["groups"], what=f"{what}groups", known=group_names)
    return replace(schema, classes=classes, groups=group_names), labels, groups


def name_of(file: ArrayFile, train: Source | None) -> str:
    """Return how logs call the training or the test source of a file."""
    return file.path.stem if train is None else f"{file.path.stem} test"


def _group_names(file: ArrayFile) -> tuple[str, ...]:
    # A test may well hold groups that were not seen in training.
    parts = [file.arrays[name].reshape(-1) for name in ("groups", "test_groups") if name in file.arrays]
    return encode(np.concatenate(parts), what=f"{file.path}: groups")[1] if parts else ()


def _masks(masks: np.ndarray, what: str, shape: tuple[int, ...]) -> Bool[Tensor, "samples 1 height width"]:
    count, _, height, width = shape
    if masks.shape not in ((count, height, width), (count, 1, height, width), (count, height, width, 1)):
        raise ValueError(f"{what}images are {height} x {width} pixels, but their masks have the shape {masks.shape}")
    if masks.dtype.kind not in "bufi":
        raise ValueError(f"{what}masks are {masks.dtype}: booleans or numbers are needed")
    if masks.dtype.kind == "f":
        check_finite_array(masks, what=f"{what}masks")
    low, high = value_range(masks)
    top = 1 if high <= 1 else 255
    if low < 0 or high > top:
        raise ValueError(f"{what}masks lie between {low:g} and {high:g}, where 0 to 1 or 0 to 255 can be read")
    levels = np.unique(masks).tolist()
    plain = set(levels) <= {0, high} and black_and_white(np.array([levels]), top)  # most are: none needs a look
    if not (plain or all(black_and_white(mask, top) for mask in masks.reshape(count, height, width))):
        raise ValueError(
            f"{what}masks hold the values {listed_levels(levels)}, where black and white ones have 0 and {top}: "
            "give them as booleans, true on the foreground"
        )
    foreground = (masks > top / 2).reshape(count, 1, height, width)
    if not foreground.any():
        raise ValueError(f"{what}no mask has any foreground")
    return torch.from_numpy(foreground)


def _channel_axis(file: ArrayFile) -> tuple[int | None, str]:
    """Return the axis of the channels, or None where there is none, and how it was found."""
    shape = file.arrays["samples"].shape
    layout = file.arrays.get("layout")
    if len(shape) == 3:
        return None, f"{shape[0]:,} images of {shape[1]} x {shape[2]} pixels in one channel"
    if len(shape) != 4:
        raise ValueError(
            f"{file.path} holds an array of shape {shape}: images are [samples, height, width], "
            "[samples, height, width, channels] or [samples, channels, height, width], rows [samples, features]"
        )
    if layout is not None:
        if str(layout) not in ("channels-first", "channels-last"):
            raise ValueError(f"{file.path}: layout is {str(layout)!r}: it must be channels-first or channels-last")
        axis, why = (1 if str(layout) == "channels-first" else 3), "as layout says"
    elif shape[1] == shape[3]:
        raise ValueError(
            f"{file.path} holds images of shape {shape}, so that either {shape[1]} may be the channels: "
            "save an .npz with images and layout='channels-first' or 'channels-last'"
        )
    else:
        axis, why = (1 if shape[1] < shape[3] else 3), "the shorter axis"
    return axis, f"axis {axis} of {shape} is taken for the channels: {why}"
