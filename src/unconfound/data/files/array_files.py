"""The arrays of an .npy or .npz file, by their meaning, checked, and never unpickled."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unconfound.data.files.damaged import naming

_MEANINGS = {
    "samples": ("images", "x", "rows", "series"),
    "labels": ("labels", "y"),
    "groups": ("groups",),
    "masks": ("masks",),
    "lengths": ("lengths",),
    "test_samples": ("test_images", "test_x", "test_rows", "test_series"),
    "test_labels": ("test_labels", "test_y"),
    "test_groups": ("test_groups",),
    "test_masks": ("test_masks",),
    "test_lengths": ("test_lengths",),
    "layout": ("layout",),
}


@dataclass(frozen=True)
class ArrayFile:
    """The arrays of one file.

    Args:
        path: the file.
        arrays: by meaning: "samples", "labels", "groups", "masks", "lengths" (of series), the same of the test
            ("test_samples", ...), and "layout" ("channels-first" or "channels-last").
        notes: what a reader of the log should know.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    notes: tuple[str, ...]

    def test(self) -> dict[str, np.ndarray]:
        """Return the arrays of the test samples by meaning, empty where the file has none."""
        return {name.removeprefix("test_"): array for name, array in self.arrays.items() if name.startswith("test_")}


def read_arrays(path: Path) -> ArrayFile:
    """Open a file of arrays. That of an .npy is mapped, privately: the file is never written to.

    An .npy holds the samples alone. An .npz holds `images`, `x`, `rows` or `series`, and may hold `labels` or `y`,
    `groups`, `masks`, `lengths`, `layout`, and the test samples under the same names after `test_`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, holds Python objects (ragged arrays, a pickle), lacks the samples, holds an array
            twice, under a misspelt name, or of another length than the samples.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    found = _open(path)
    arrays: dict[str, np.ndarray] = {}
    meaning_of = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
    ignored = []
    for name, array in found.items():
        if name in meaning_of:
            if meaning_of[name] in arrays:
                raise ValueError(f"{path} holds {meaning_of[name]} twice: keep one of {_either(meaning_of[name])}")
            arrays[meaning_of[name]] = array
        elif near := difflib.get_close_matches(name, meaning_of, 1, cutoff=0.75):
            raise ValueError(f"{path} holds an array {name!r}: did you mean {near[0]!r}? Rename or remove it")
        else:
            ignored.append(name)
    if "samples" not in arrays:
        raise ValueError(f"{path} holds {', '.join(found) or 'nothing'}, but no array {_either('samples')}")
    for start in ("", "test_"):
        _check_lengths(path, arrays, start)
    notes = (f"arrays that were passed over: {', '.join(ignored)}",) if ignored else ()
    return ArrayFile(path, arrays, notes)


def check_finite_array(values: np.ndarray, *, what: str) -> None:
    """Raise a ValueError that counts the NaN and infinite values and gives the position of the first."""
    count, first = 0, None
    for start, part in _parts(values):
        wrong = ~np.isfinite(part)
        found = int(wrong.sum())
        if found and first is None:
            inside = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            first = (start + int(inside[0]), *(int(position) for position in inside[1:]))
        count += found
    if count:
        raise ValueError(f"{what} hold {count:,} values that are NaN or infinite, the first at position {first}")


def value_range(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest value of an array that is not empty."""
    ranges = [(float(part.min()), float(part.max())) for _, part in _parts(values)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _parts(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield consecutive samples and the position of the first, about 32 MiB at a time."""
    step = max(1, 2**25 // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield start, values[start : start + step]


def _open(path: Path) -> dict[str, np.ndarray]:
    try:
        with naming(path):
            opened = np.load(path, mmap_mode="c" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
            if isinstance(opened, np.ndarray):
                return {"images": opened}
            with opened:
                return {name: _array(opened[name], name) for name in opened.files}
    except ValueError as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds Python objects (arrays of unequal lengths, or a pickle), which are not read: "
                "save arrays of numbers (series of unequal lengths one below the other, with their lengths)"
            ) from error
        raise


def _array(value: object, name: str) -> np.ndarray:
    # numpy returns the bytes of what is no array.
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} is no array")
    return value


def _check_lengths(path: Path, arrays: dict[str, np.ndarray], start: str) -> None:
    meanings = [meaning for meaning in ("lengths", "labels", "groups", "masks") if start + meaning in arrays]
    if start + "samples" not in arrays:
        if meanings:
            raise ValueError(f"{path} holds {start}{meanings[0]}, but no array {_either(start + 'samples')}")
        return
    samples = arrays[start + "samples"]
    if samples.ndim == 0 or samples.size == 0:
        raise ValueError(f"{path} holds no {start}samples: the array has the shape {samples.shape}")
    # Series may lie one below the other: then it is their lengths that count them.
    lengths = arrays.get(start + "lengths", samples)
    count = len(lengths) if lengths.ndim else -1
    for meaning in meanings:
        array = arrays[start + meaning]
        if array.ndim == 0 or len(array) != count:
            raise ValueError(
                f"{path} holds {count:,} {start}samples but {start}{meaning} of shape {array.shape}: "
                "one a sample is needed"
            )


def _either(meaning: str) -> str:
    return " or ".join(_MEANINGS[meaning])
