"""The public image sets by name, read from the files that torchvision keeps, without the network."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.divide.splits import train_test_indices
from unconfound.data.sets.cifar import CifarBatch, read_cifar_batch, read_cifar_classes
from unconfound.suggestions import nearest_name

_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IDX = ("images-idx3", "labels-idx1")
_STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def torchvision_set(name: str, root: Path | None, *, seed: int = 0) -> Dataset:
    """Read a public image set with its official split.

    Nothing is downloaded, unpacked beside the files or executed; `root` may be read-only. CIFAR-10 and CIFAR-100 may
    also be subsets, in files of the same form whose names begin with `train_` and `test_`.

    Args:
        name: "cifar10", "cifar100", "stl10", "mnist", "fashion-mnist" or "emnist-letters".
        root: what torchvision calls the root: the folder that holds `cifar-10-batches-py`, `cifar-100-python`,
            `stl10_binary`, `MNIST/raw`, `FashionMNIST/raw` or `EMNIST/raw`; or that folder itself.
        seed: of no effect, as the split is official; every source of data takes one.

    Returns:
        uint8 images. Of STL-10, `train` is the labelled and, where its file is there, the unlabelled part (labels -1).
        Of EMNIST's letters without their training files, `train` is four fifths of the test files.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: the name is unknown, `root` is None, or a file is damaged.
    """
    if name not in _READERS:
        raise ValueError(f"{name!r} is no public image set: {nearest_name(name, _READERS)}")
    if root is None:
        raise ValueError(f"{name} is read from files: say which folder holds them (--data-root)")
    return _READERS[name](name, root)


def _cifar10(name: str, root: Path) -> Dataset:
    official = [f"data_batch_{number}" for number in range(1, 6)], ["test_batch"]
    return _cifar(name, root, "cifar-10-batches-py", official, ("batches.meta", "label_names"))


def _cifar100(name: str, root: Path) -> Dataset:
    return _cifar(name, root, "cifar-100-python", (["train"], ["test"]), ("meta", "fine_label_names"))


def _cifar(name: str, root: Path, inside: str, official: tuple[list[str], list[str]], meta: tuple[str, str]) -> Dataset:
    folder = folder_inside(root, inside)
    train, test = official
    subset = (
        sorted(file.name for file in folder.glob("train_*")),
        sorted(file.name for file in folder.glob("test_*")),
    )
    subset[1][:] = [file for file in subset[1] if file not in test]
    official_files = any((folder / file).is_file() for file in train + test)
    if not official_files and all(subset):
        train, test = subset
    need_files(name, folder, [*train, *test, meta[0]])
    classes = read_cifar_classes(folder / meta[0], meta[1])
    parts = [_joined([read_cifar_batch(folder / file, len(classes)) for file in files]) for files in (train, test)]
    notes = []
    if not official_files:
        notes.append(
            f"subset: {len(parts[0].images):,} of 50,000 training images ({', '.join(train)}) "
            f"and {len(parts[1].images):,} of 10,000 test images ({', '.join(test)})"
        )
    schema = Schema("images", (3, 32, 32), classes)
    sources = [
        MemorySource(source, schema, part.images, part.labels, names=part.names or None)
        for source, part in zip((name, f"{name} test"), parts, strict=True)
    ]
    sources[0].notes = tuple(notes)
    return _dataset(*sources)


def _joined(batches: list[CifarBatch]) -> CifarBatch:
    names = [batch.names for batch in batches]
    return CifarBatch(
        images=torch.cat([batch.images for batch in batches]),
        labels=torch.cat([batch.labels for batch in batches]),
        names=sum(names, ()) if all(names) else (),
    )


def _mnist(name: str, root: Path) -> Dataset:
    return _digits(name, root, "MNIST/raw", tuple("0123456789"))


def _fashion_mnist(name: str, root: Path) -> Dataset:
    return _digits(name, root, "FashionMNIST/raw", _FASHION)


def _digits(name: str, root: Path, inside: str, classes: tuple[str, ...]) -> Dataset:
    folder = folder_inside(root, inside)
    files = [_packed(folder, f"{part}-{kind}") for part in ("train", "t10k") for kind in _IDX]
    need_files(name, folder, files)
    return _dataset(_idx(name, folder, files[:2], classes), _idx(f"{name} test", folder, files[2:], classes))


def _emnist_letters(name: str, root: Path) -> Dataset:
    folder = folder_inside(root, "EMNIST/raw")
    train, test = ([_packed(folder, f"emnist-letters-{part}-{kind}") for kind in _IDX] for part in ("train", "test"))
    need_files(name, folder, test)
    # The files number letters from 1, and the images in them lie on their sides.
    tested = _idx(f"{name} test", folder, test, _LETTERS, first=1, turned=True)
    if any((folder / file).is_file() for file in train):
        need_files(name, folder, train)
        return _dataset(_idx(name, folder, train, _LETTERS, first=1, turned=True), tested)
    kept, drawn = train_test_indices(len(tested), tested.labels, 0.2, 0)
    note = f"subset: the training letters are not there: {len(kept):,} of {len(tested):,} test letters are trained on"
    return _dataset(Subset(tested, kept, name=name, notes=[note]), Subset(tested, drawn))


def _packed(folder: Path, start: str) -> str:
    return f"{start}-ubyte" if (folder / f"{start}-ubyte").is_file() else f"{start}-ubyte.gz"


def _idx(
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
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
        if content[:3] != b"\0\0\x08":
            raise ValueError("no IDX file of unsigned bytes")
        axes = content[3]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        # The copy is writable, which PyTorch asks for.
        return np.frombuffer(bytearray(content[4 + 4 * axes :]), np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _stl10(name: str, root: Path) -> Dataset:
    folder = folder_inside(root, "stl10_binary")
    need_files(name, folder, ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"])
    images, labels = _read_stl10_images(folder / "train_X.bin"), _read_stl10_labels(folder / "train_y.bin")
    tested = _read_stl10_images(folder / "test_X.bin"), _read_stl10_labels(folder / "test_y.bin")
    for part, (pixels, given) in {"train": (images, labels), "test": tested}.items():
        if len(pixels) != len(given):
            raise ValueError(f"{folder} holds {len(pixels):,} {part} images but {len(given):,} labels for them")
    schema = Schema("images", (3, 96, 96), _STL10)
    labelled, notes = len(images), []
    if (folder / "unlabeled_X.bin").is_file():
        unlabelled = _read_stl10_images(folder / "unlabeled_X.bin")
        images = torch.cat([images, unlabelled])
        labels = torch.cat([labels, torch.full((len(unlabelled),), -1)])
    else:
        notes.append("unlabeled_X.bin is not there: only the labelled images are trained on")
    train = MemorySource(name, schema, images, labels, notes=tuple(notes))
    return _dataset(
        train,
        MemorySource(f"{name} test", schema, *tested),
        labelled=Subset(train, torch.arange(labelled), name=f"{name} labelled"),
    )


def _read_stl10_images(path: Path) -> UInt8[Tensor, "images 3 96 96"]:
    size = path.stat().st_size
    if size == 0 or size % (3 * 96 * 96):
        raise ValueError(f"{path} is damaged: {size:,} bytes are no whole number of images of 3 x 96 x 96")
    pixels = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    # The file goes down the columns.
    return pixels.view(-1, 3, 96, 96).transpose(2, 3)


def _read_stl10_labels(path: Path) -> Int[Tensor, " images"]:
    labels = torch.from_numpy(np.fromfile(path, np.uint8).astype(np.int64)) - 1
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(_STL10)):
        raise ValueError(f"{path} is damaged: labels must be 1 to {len(_STL10)}")
    return labels


def _dataset(train: Source, test: Source, *, labelled: Source | None = None) -> Dataset:
    channels, height, _ = train.schema.shape
    return Dataset(
        train=train,
        tests={"test": test},
        labelled=labelled or train,
        restore={"kind": "images", "image_size": height, "channels": channels},
    )


def folder_inside(root: Path, inside: str) -> Path:
    """Return the folder of the files: inside of the root, or the root itself where it is that folder."""
    names = Path(inside).parts
    return root if root.parts[-len(names) :] == names and not (root / inside).is_dir() else root / inside


def need_files(name: str, folder: Path, files: list[str]) -> None:
    """Raise a FileNotFoundError that lists the files that are missing in the folder."""
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise FileNotFoundError(f"{name} needs {', '.join(missing)} in {folder}: nothing is downloaded, put them there")


_READERS: dict[str, Callable[[str, Path], Dataset]] = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "stl10": _stl10,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "emnist-letters": _emnist_letters,
}
