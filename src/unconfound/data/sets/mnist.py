"""MNIST and the sets in its form, from the files that torchvision keeps."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.divide.splits import train_test_indices
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.reading import image_restore
from unconfound.options.data_sets import PublicSet

MNIST = PublicSet(
    name="mnist",
    modality="images",
    about="MNIST: 70,000 handwritten digits, 28 x 28 pixels",
    paper="LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, 1998",
    source="http://yann.lecun.com/exdb/mnist/",
    reader="sets.mnist:mnist",
    folders=("MNIST/raw",),
    image_size=28,
    counts={"training images": 60_000, "test images": 10_000},
)
FASHION_MNIST = PublicSet(
    name="fashion-mnist",
    modality="images",
    about="Fashion-MNIST: 70,000 pictures of ten kinds of clothes, 28 x 28 pixels",
    paper="Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
    "Algorithms, 2017",
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    reader="sets.mnist:fashion_mnist",
    folders=("FashionMNIST/raw",),
    image_size=28,
    counts={"training images": 60_000, "test images": 10_000},
)
EMNIST_LETTERS = PublicSet(
    name="emnist-letters",
    modality="images",
    about="EMNIST's letters: handwritten, 26 classes, 28 x 28 pixels",
    paper="Cohen, Afshar, Tapson and van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017",
    source="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    reader="sets.mnist:emnist_letters",
    folders=("EMNIST/raw",),
    image_size=28,
    counts={"training images": 124_800, "test images": 20_800},
)
_GARMENTS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def mnist(root: Path | None) -> Dataset:
    """Read MNIST with its official split, from files that are packed (.gz) or not.

    Args:
        root: the folder that holds `MNIST/raw`, or that folder itself; it may be read-only.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: `root` is None, or a file is damaged.
    """
    return _digits(MNIST, root, tuple("0123456789"))


def fashion_mnist(root: Path | None) -> Dataset:
    """Read Fashion-MNIST from `FashionMNIST/raw` as `mnist` reads MNIST."""
    return _digits(FASHION_MNIST, root, _GARMENTS)


def emnist_letters(root: Path | None) -> Dataset:
    """Read the letters of EMNIST, turned upright, from `EMNIST/raw` as `mnist` reads MNIST.

    Without the training files, four fifths of the test letters are trained on, which a note says.
    """
    known, folder = EMNIST_LETTERS, published_folder(EMNIST_LETTERS, root)
    train, test = (_files(folder, f"emnist-letters-{part}") for part in ("train", "test"))
    need_files(known, folder, test)
    # The files number letters from 1, and the images in them lie on their sides.
    tested = _source(f"{known.name} test", folder, test, _LETTERS, first=1, turned=True)
    if any((folder / file).is_file() for file in train):
        need_files(known, folder, train)
        return _dataset(_source(known.name, folder, train, _LETTERS, first=1, turned=True), tested)
    kept, drawn = train_test_indices(len(tested), tested.labels, 0.2, 0)
    note = f"subset: the training letters are not there: {len(kept):,} of {len(tested):,} test letters are trained on"
    return _dataset(Subset(tested, kept, name=known.name, notes=[note]), Subset(tested, drawn))


def _digits(known: PublicSet, root: Path | None, classes: tuple[str, ...]) -> Dataset:
    folder = published_folder(known, root)
    train, test = _files(folder, "train"), _files(folder, "t10k")
    need_files(known, folder, [*train, *test])
    return _dataset(_source(known.name, folder, train, classes), _source(f"{known.name} test", folder, test, classes))


def _dataset(train: Source, test: Source) -> Dataset:
    return Dataset(train=train, tests={"test": test}, labelled=train, restore=image_restore(train.schema))


def _files(folder: Path, start: str) -> list[str]:
    """Return the names of a part's files of images and labels, packed where they are not there unpacked."""
    plain = [f"{start}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    return [file if (folder / file).is_file() else f"{file}.gz" for file in plain]


def _source(
    name: str, folder: Path, files: Sequence[str], classes: tuple[str, ...], *, first: int = 0, turned: bool = False
) -> MemorySource:
    """Read a file of images and that of their labels, which count from `first`."""
    images, labels = (_read_idx(folder / file) for file in files)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{folder} holds images of shape {images.shape} with labels of shape {labels.shape}")
    if len(labels) and not (labels.min() >= first and labels.max() < first + len(classes)):
        raise ValueError(f"{folder / files[1]} is damaged: labels must be {first} to {first + len(classes) - 1}")
    images = np.ascontiguousarray(images.swapaxes(1, 2)) if turned else images
    schema = Schema("images", (1, *images.shape[1:]), classes)
    return MemorySource(name, schema, torch.from_numpy(images[:, None]), torch.from_numpy(labels).long() - first)


def _read_idx(path: Path) -> UInt8[np.ndarray, ...]:
    """Read a file of unsigned bytes in the IDX format: 0, 0, 8, number of axes, lengths (big-endian), values."""
    with naming(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if content[:3] != b"\0\0\x08":
            raise ValueError("no IDX file of unsigned bytes")
        axes = content[3]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        # The copy is writable, which PyTorch asks for.
        return np.frombuffer(bytearray(content[4 + 4 * axes :]), np.uint8).reshape(shape)
