"""Stanford Online Products: products for sale, each photographed a few times."""

from __future__ import annotations

from pathlib import Path

import torch

from unconfound.data.core.source import Dataset
from unconfound.data.files.numbered_lines import text_lines
from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

ONLINE_PRODUCTS = PublicSet(
    name="stanford-online-products",
    modality="images",
    about="Stanford Online Products: 22,634 products; with --unseen-classes",
    paper="Song, Xiang, Jegelka and Savarese, Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016",
    source="https://cvgl.stanford.edu/projects/lifted_struct/",
    reader="sets.online_products:online_products",
    folders=("Stanford_Online_Products",),
    counts={
        "training images": 59_551,
        "test images": 60_502,
        "training classes": 11_318,
        "test classes": 11_316,
    },
)
_LISTS = ("Ebay_train.txt", "Ebay_test.txt")
_HEADER = "image_id class_id super_class_id path"


def online_products(root: Path | None, *, reading: Reading) -> Dataset:
    """Read Stanford Online Products with its official split, in which the classes to test on are others.

    A class is a product, called by its kind and number ("bicycle 1"), in the order of the numbers. The test part is of
    use with `unconfound.data.divide.unseen_classes.with_unseen_classes` only.

    Args:
        root: the folder that holds `Stanford_Online_Products`, or that folder itself: `Ebay_train.txt`,
            `Ebay_test.txt` and the folders `bicycle_final`, `cabinet_final`, ... of images, as published.
        reading: how images are decoded.

    Raises:
        FileNotFoundError: the folder or a list is missing.
        ValueError: a list is damaged, or too many images are missing or damaged.
    """
    folder = published_folder(ONLINE_PRODUCTS, root)
    need_files(ONLINE_PRODUCTS, folder, list(_LISTS))
    train, test = (_listed(folder / name) for name in _LISTS)
    kinds = {number: path.split("/")[0].removesuffix("_final") for path, number in reversed([*train, *test])}
    numbers = sorted(kinds)
    place = {number: label for label, number in enumerate(numbers)}
    table = ImageTable(
        name="stanford-online-products",
        folder=folder,
        files=[path for path, _ in (*train, *test)],
        labels=torch.tensor([place[number] for _, number in (*train, *test)]),
        classes=[f"{kinds[number]} {number}" for number in numbers],
        parts=part_numbers([len(train), 0, len(test)]),
        published=ONLINE_PRODUCTS.counts,
    )
    return read_image_table(table, reading)


def _listed(path: Path) -> list[tuple[str, int]]:
    """Return file and class of each line."""
    lines = text_lines(path)
    if not lines or lines[0].split() != _HEADER.split():
        raise ValueError(f"{path} does not begin with {_HEADER!r}: use the file as published")
    found = []
    for place, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split()
        if len(cells) != 4 or not (cells[1].isascii() and cells[1].isdigit()):
            raise ValueError(f"{path}, line {place} is {line[:80]!r}: {_HEADER} are needed")
        found.append((cells[3], int(cells[1])))
    if not found:
        raise ValueError(f"{path} names no image: unpack it anew")
    return found
