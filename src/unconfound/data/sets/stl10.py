"""STL-10, from the files that torchvision keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.reading import image_restore
from unconfound.options.data_sets import PublicSet

STL10 = PublicSet(
    name="stl10",
    modality="images",
    about="STL-10: 13,000 labelled and 100,000 unlabelled photographs of ten classes, 96 x 96 pixels",
    paper="Coates, Lee and Ng, An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011",
    source="https://cs.stanford.edu/~acoates/stl10/",
    reader="sets.stl10:stl10",
    folders=("stl10_binary",),
    image_size=96,
    counts={"training images": 5_000, "unlabelled images": 100_000, "test images": 8_000},
)
_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def stl10(root: Path | None) -> Dataset:
    """Read STL-10 with its official split: `train` is the labelled and, where its file is there, the unlabelled part.

    Args:
        root: the folder that holds `stl10_binary`, or that folder itself; it may be read-only.

    Raises:
        FileNotFoundError: files are missing; the message lists them and says where they belong.
        ValueError: `root` is None, or a file is damaged.
    """
    folder = published_folder(STL10, root)
    need_files(STL10, folder, ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"])
    read = {part: (_images(folder / f"{part}_X.bin"), _labels(folder / f"{part}_y.bin")) for part in ("train", "test")}
    for part, (pixels, given) in read.items():
        if len(pixels) != len(given):
            raise ValueError(f"{folder} holds {len(pixels):,} {part} images but {len(given):,} labels for them")
    (images, labels), notes = read["train"], list[str]()
    count = len(images)
    if (folder / "unlabeled_X.bin").is_file():
        unlabelled = _images(folder / "unlabeled_X.bin")
        images = torch.cat([images, unlabelled])
        labels = torch.cat([labels, torch.full((len(unlabelled),), -1)])
    else:
        notes.append("unlabeled_X.bin is not there: only the labelled images are trained on")
    schema = Schema("images", (3, 96, 96), _CLASSES)
    train = MemorySource(STL10.name, schema, images, labels, notes=tuple(notes))
    return Dataset(
        train=train,
        tests={"test": MemorySource(f"{STL10.name} test", schema, *read["test"])},
        labelled=Subset(train, torch.arange(count), name=f"{STL10.name} labelled"),
        restore=image_restore(schema),
    )


def _images(path: Path) -> UInt8[Tensor, "images 3 96 96"]:
    size = path.stat().st_size
    if size == 0 or size % (3 * 96 * 96):
        raise ValueError(f"{path} is damaged: {size:,} bytes are no whole number of images of 3 x 96 x 96")
    pixels = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    # The file goes down the columns.
    return pixels.view(-1, 3, 96, 96).transpose(2, 3)


def _labels(path: Path) -> Int[Tensor, " images"]:
    labels = torch.from_numpy(np.fromfile(path, np.uint8).astype(np.int64)) - 1
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(_CLASSES)):
        raise ValueError(f"{path} is damaged: labels must be 1 to {len(_CLASSES)}")
    return labels
