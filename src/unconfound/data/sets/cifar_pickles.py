"""The files of CIFAR-10 and CIFAR-100: pickles, read without letting them call anything."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from unconfound.data.files.damaged import naming


@dataclass(frozen=True)
class CifarBatch:
    """The images of one file, with their labels and file names (empty where the file has none)."""

    images: UInt8[Tensor, "images 3 32 32"]
    labels: Int[Tensor, " images"]
    names: tuple[str, ...]


def read_cifar_batch(path: Path, classes: int) -> CifarBatch:
    """Read a batch file: `data` of [images, 3072] bytes (red, green and blue planes), `labels` or `fine_labels`.

    Args:
        path: the file.
        classes: number of classes; labels count from 0.

    Raises:
        ValueError: the file is damaged, has another content, or is a pickle that asks for anything but arrays.
    """
    content = _read_plain_pickle(path)
    data = content.get("data")
    labels = content.get("labels", content.get("fine_labels"))
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise ValueError(f"{path} is no CIFAR batch: it lacks the array data or the list labels")
    images = data.as_bytes(path)
    if images.ndim != 2 or images.shape != (len(labels), 3 * 32 * 32):
        raise ValueError(f"{path} holds data of shape {images.shape} and {len(labels)} labels, not [images, 3072]")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise ValueError(f"{path} holds labels that are not integers from 0 to {classes - 1}")
    names = content.get("filenames")
    names = names if isinstance(names, list) and len(names) == len(labels) else []
    return CifarBatch(
        images=torch.from_numpy(images.reshape(-1, 3, 32, 32)),
        labels=torch.tensor(labels),
        names=tuple(str(name) for name in names),
    )


def read_cifar_classes(path: Path, key: str) -> tuple[str, ...]:
    """Read the names of the classes from a `meta` file.

    Raises:
        ValueError: the file is damaged, lacks them, or is a pickle that asks for anything but arrays.
    """
    names = _read_plain_pickle(path).get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} lacks the list {key}")
    return tuple(names)


def _read_plain_pickle(path: Path) -> dict[str, Any]:
    with naming(path, fault="cannot be read"), open(path, "rb") as file:
        content = _PlainUnpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a dictionary")
    return content


class _Array:
    """Stands for an array of NumPy: keeps what the pickle says of it."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def as_bytes(self, path: Path) -> UInt8[np.ndarray, ...]:
        """Return the array of unsigned bytes that was described."""
        with naming(path, fault="holds a damaged array"):
            _, shape, kind, column_major, content = self.state
            content = content.encode("latin1") if isinstance(content, str) else content
            if kind.code not in ("u1", "|u1"):
                raise ValueError(f"elements are {kind.code}, not bytes")
            # The copy is writable, which PyTorch asks for.
            return np.frombuffer(bytearray(content), np.uint8).reshape(shape, order="F" if column_major else "C")


class _ElementType:
    """Stands for NumPy's type of the elements."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Byte order and the like: of no meaning for single bytes."""


def _reconstructed(*_: object) -> _Array:
    return _Array()


def _encoded(text: str, *_: object) -> bytes:
    return text.encode("latin1")


class _PlainUnpickler(pickle.Unpickler):
    """Knows the four names that an array of NumPy is pickled with, and none of them is NumPy's own.

    Each stands for a small class or function of this file that only stores or encodes what it is given, so that
    nothing a file says is ever executed.
    """

    _known = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstructed,
        ("numpy._core.multiarray", "_reconstruct"): _reconstructed,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _ElementType,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Refuse every name but those of an array."""
        try:
            return self._known[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which was refused and not executed"
            ) from None
