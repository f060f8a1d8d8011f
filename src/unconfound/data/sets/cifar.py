"""CIFAR-10 and CIFAR-100, from the files that torchvision keeps."""

from __future__ import annotations

from pathlib import Path

import torch

from unconfound.data.core.source import Dataset, MemorySource, Schema
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.reading import image_restore
from unconfound.data.sets.cifar_pickles import read_cifar_batch, read_cifar_classes
from unconfound.options.data_sets import PublicSet

CIFAR10 = PublicSet(
    name="cifar10",
    modality="images",
    about="CIFAR-10: 60,000 photographs of ten classes, 32 x 32 pixels",
    paper="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    reader="sets.cifar:cifar10",
    folders=("cifar-10-batches-py",),
    image_size=32,
    counts={"training images": 50_000, "test images": 10_000},
)
CIFAR100 = PublicSet(
    name="cifar100",
    modality="images",
    about="CIFAR-100: 60,000 photographs of a hundred classes, 32 x 32 pixels",
    paper="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    reader="sets.cifar:cifar100",
    folders=("cifar-100-python",),
    image_size=32,
    counts={"training images": 50_000, "test images": 10_000},
)


def cifar10(root: Path | None) -> Dataset:
    """Read CIFAR-10 with its official split, or a subset in files of the same form, named `train_*` and `test_*`.

    The files are pickles, nothing of which is executed.

    Args:
        root: the folder that holds `cifar-10-batches-py`, or that folder itself; it may be read-only.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: `root` is None, or a file is damaged.
    """
    files = [f"data_batch_{number}" for number in range(1, 6)], ["test_batch"]
    return _read(CIFAR10, root, files, ("batches.meta", "label_names"))


def cifar100(root: Path | None) -> Dataset:
    """Read CIFAR-100 as `cifar10` reads CIFAR-10: its hundred fine classes, from `cifar-100-python`."""
    return _read(CIFAR100, root, (["train"], ["test"]), ("meta", "fine_label_names"))


def _read(known: PublicSet, root: Path | None, files: tuple[list[str], list[str]], names: tuple[str, str]) -> Dataset:
    """Read the files to train and to test on; the classes are in a file of their own, under a key."""
    (train, test), (meta, key), folder = files, names, published_folder(known, root)
    official = any((folder / file).is_file() for file in train + test)
    if not official:
        subset = [sorted(file.name for file in folder.glob(f"{part}_*")) for part in ("train", "test")]
        train, test = subset if all(subset) else (train, test)
    need_files(known, folder, [*train, *test, meta])
    classes = read_cifar_classes(folder / meta, key)
    sources = []
    for name, part in ((known.name, train), (f"{known.name} test", test)):
        batches = [read_cifar_batch(folder / file, len(classes)) for file in part]
        inputs, labels = (torch.cat([getattr(batch, what) for batch in batches]) for what in ("images", "labels"))
        named = [name for batch in batches for name in batch.names] if all(batch.names for batch in batches) else None
        sources.append(MemorySource(name, Schema("images", (3, 32, 32), classes), inputs, labels, names=named))
    if not official:
        told = (
            f"{len(source):,} of {count:,} {what} ({', '.join(part)})"
            for source, part, (what, count) in zip(sources, (train, test), known.counts.items(), strict=True)
        )
        sources[0].notes = (f"subset: {' and '.join(told)}",)
    restore = image_restore(sources[0].schema)
    return Dataset(train=sources[0], tests={"test": sources[1]}, labelled=sources[0], restore=restore)
