"""Arrays in .npy and .npz files as data sets of series, of one length or of many."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from unconfound.data.arrays import array_dataset, name_of, part_of, targets_of
from unconfound.data.core.source import Dataset, Schema, Source
from unconfound.data.files.array_files import ArrayFile, read_arrays
from unconfound.data.files.damaged import naming
from unconfound.data.sequences.sequence_source import SequenceSource


def is_series(path: Path) -> bool:
    """Say whether an .npz file holds `series`, or `lengths`, without reading them; a damaged file holds neither."""
    try:
        with naming(path), zipfile.ZipFile(path) as file:
            return not {"series.npy", "lengths.npy"}.isdisjoint(file.namelist())
    except (OSError, ValueError):
        return False


def series(path: Path, *, test_share: float = 0.2, seed: int = 0, max_length: int = 256) -> Dataset:
    """Read series from an .npy file, or from an .npz file with labels, groups and test samples.

    `array_files.read_arrays` gives the names of the arrays; `series` is one of those of the samples. They are numbers
    of any kind, which become float32, in one of these forms:

    - [samples, time, channels], or [samples, time] of one channel;
    - the same, padded, with `lengths` [samples]: what lies behind a length is not read and may be anything;
    - [total, channels], or [total] of one channel, one series after the other, with `lengths` that sum up to the total.

    Labels and groups are as `arrays.image_arrays` has them.

    Args:
        path: the file.
        test_share: share of each class to test on where the file has no test samples, in [0, 1).
        seed: for that split.
        max_length: times of a series that are read, from its start; at least 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or holds Python objects; a series is empty, or holds NaN or infinity; lengths do
            not fit the values; another shape.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    notes: list[str] = []
    read = partial(_source, max_length=max_length, notes=notes)
    dataset = array_dataset(read_arrays(path), read, notes=notes, test_share=test_share, seed=seed)
    return replace(dataset, restore={"kind": "series", "max_length": max_length})


def _source(file: ArrayFile, train: Source | None, *, max_length: int, notes: list[str]) -> SequenceSource:
    arrays, what = part_of(file, train)
    if "masks" in arrays:
        raise ValueError(f"{what}masks are for images: say by lengths where series end")
    samples, lengths = arrays["samples"], _lengths(arrays, f"{what}lengths")
    if samples.dtype.kind not in "fiub":
        raise ValueError(f"{what}series are {samples.dtype}: numbers are needed")
    values, lengths = _flat(samples, lengths, what)
    longer = int((lengths > max_length).sum())
    if longer:
        notes.append(
            f"{longer:,} of {len(lengths):,} {'test ' if train else ''}series are longer than {max_length} "
            "(--max-length): they are cut"
        )
        times = np.arange(len(values)) - np.repeat(lengths.cumsum() - lengths, lengths)
        values, lengths = values[times < max_length], lengths.clip(max=max_length)
    with np.errstate(over="ignore"):  # becomes infinite, which is refused next
        values = np.ascontiguousarray(values, np.float32)
    schema, labels, groups = targets_of(file, Schema("series", values.shape[1:]), train=train)
    inputs = torch.from_numpy(values), torch.from_numpy(lengths)
    return SequenceSource(name_of(file, train), schema, *inputs, labels, groups)


def _lengths(arrays: dict[str, np.ndarray], what: str) -> Int[np.ndarray, " samples"] | None:
    lengths = arrays.get("lengths")
    if lengths is None:
        return None
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ValueError(f"{what} are {lengths.dtype} of shape {lengths.shape}: one integer a series is needed")
    if lengths.min() < 1:
        raise ValueError(f"{what}: series {lengths.argmin()} has the length {lengths.min()}: leave empty series out")
    return lengths.astype(np.int64)


def _flat(
    samples: np.ndarray, lengths: Int[np.ndarray, " samples"] | None, what: str
) -> tuple[np.ndarray, Int[np.ndarray, " samples"]]:
    """Return all series one after the other, [total, channels], and their lengths."""
    if lengths is not None and samples.ndim <= 2 and lengths.sum() == len(samples):
        return samples.reshape(len(samples), -1), lengths
    if samples.ndim == 2:
        samples = samples[:, :, None]
    if samples.ndim != 3 or not samples.size:
        raise ValueError(
            f"{what}series have the shape {samples.shape}: [samples, time, channels] is needed, or [total, channels] "
            "with lengths"
        )
    count, time, channels = samples.shape
    if lengths is None:
        return samples.reshape(-1, channels), np.full(count, time)
    if len(lengths) != count:
        raise ValueError(
            f"{what}{len(lengths):,} lengths that sum up to {lengths.sum():,} do not fit series of shape "
            f"{samples.shape}: lengths sum up to the first axis, or there is one for each of its entries"
        )
    if lengths.max() > time:
        first = int((lengths > time).argmax())
        raise ValueError(f"{what}series {first} has the length {lengths[first]}, but only {time} times are there")
    return samples[np.arange(time) < lengths[:, None]], lengths
