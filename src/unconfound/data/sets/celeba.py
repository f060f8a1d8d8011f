"""CelebA: faces with forty attributes, one to tell apart and one that goes along with it.

Sagawa et al. (ICLR 2020) tell blond hair apart, where few blond faces are male.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.files.damaged import naming
from unconfound.data.files.set_folder import group_count_notes, need_files, published_folder
from unconfound.data.images.image_table import ImageTable, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.data.tables.table_files import read_frame
from unconfound.options.data_sets import PublicSet
from unconfound.suggestions import nearest_name

CELEBA = PublicSet(
    name="celeba",
    modality="images",
    about="CelebA: blond hair (--label) with the groups of sex (--group)",
    paper="Liu, Luo, Wang and Tang, Deep Learning Face Attributes in the Wild, ICCV 2015",
    source="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="non-commercial research only",
    reader="sets.celeba:celeba",
    folders=("celeba",),
    counts={"training images": 162_770, "validation images": 19_867, "test images": 19_962},
)
LABEL, GROUP = "Blond_Hair", "Male"
# Samples of each group of the default pair, as published: neither, male, blond, blond and male.
PUBLISHED = {
    "train": (71629, 66874, 22880, 1387),
    "validation": (8535, 8276, 2874, 182),
    "test": (9767, 7535, 2480, 180),
}
_IMAGES = "img_align_celeba"


def celeba(root: Path | None, *, label: str | None = None, group: str | None = None, reading: Reading) -> Dataset:
    """Read the aligned faces of CelebA with their official split: training, validation, test.

    The groups are label x attribute ("Blond_Hair, not Male"). The central square of 178 pixels is resized, as usual.

    Args:
        root: the folder that holds `celeba`, or that folder itself: `img_align_celeba/*.jpg`, `list_attr_celeba.txt`
            and `list_eval_partition.txt`, as torchvision keeps them; or the two lists as `.csv`, as Kaggle has them.
        label: the attribute to tell apart, Blond_Hair by default.
        group: the attribute that makes the groups, Male by default.
        reading: how images are decoded.

    Raises:
        FileNotFoundError: the folder or a list is missing.
        ValueError: there is no such attribute, a list is damaged, or too many images are missing or damaged.
    """
    label, group = label or LABEL, group or GROUP
    folder = published_folder(CELEBA, root)
    need_files(CELEBA, folder, [f"{_IMAGES}/"])
    attributes = _read(folder, "list_attr_celeba", lines=1)
    for name in (label, group):
        if name not in attributes.columns:
            raise ValueError(f"celeba has no attribute {name!r}: {nearest_name(name, attributes.columns)}")
    if label == group:
        raise ValueError(f"label and group are both {label!r}: give two attributes")
    parts = _read(folder, "list_eval_partition", lines=0).iloc[:, 0].reindex(attributes.index)
    if not bool(parts.isin((0, 1, 2)).all()):
        first = parts.index[~parts.isin((0, 1, 2))][0]
        raise ValueError(f"list_eval_partition in {folder} says {parts[first]} of {first}: 0, 1 or 2 is needed")
    labels, places = (_given(attributes, name, folder) for name in (label, group))
    groups = 2 * labels + places
    group_names = [f"{first}, {second}" for first in (f"not {label}", label) for second in (f"not {group}", group)]
    part_of = torch.from_numpy(parts.to_numpy(np.int64).copy())
    official = (label, group) == (LABEL, GROUP)
    table = ImageTable(
        name="celeba",
        folder=folder,
        files=[f"{_IMAGES}/{name}" for name in attributes.index],
        labels=labels,
        classes=(f"not {label}", label),
        parts=part_of,
        groups=groups,
        group_names=group_names,
        notes=group_count_notes(groups, part_of, group_names, PUBLISHED) if official else (),
    )
    return read_image_table(table, reading)


def _read(folder: Path, name: str, *, lines: int) -> pd.DataFrame:
    """Read a list, by file names: of words between spaces, `lines` lines below its top, or as CSV."""
    text, csv = folder / f"{name}.txt", folder / f"{name}.csv"
    if text.is_file():
        with naming(text, advice="; unpack it anew"):
            # The names of the columns, where there are any, are one fewer than the columns, the first being the file.
            frame = pd.read_csv(
                text, sep=r"\s+", skiprows=lines, header=0 if lines else None, index_col=None if lines else 0
            )
    elif csv.is_file():
        frame, _ = read_frame(csv)
        frame = frame.set_index(frame.columns[0])
    else:
        raise FileNotFoundError(
            f"celeba needs {text.name} or {csv.name} in {folder}: nothing is downloaded, put it there"
        )
    if frame.empty or not frame.index.is_unique or pd.api.types.is_numeric_dtype(frame.index):
        raise ValueError(f"{text if text.is_file() else csv} does not say each file once: unpack it anew")
    return frame


def _given(attributes: pd.DataFrame, name: str, folder: Path) -> Int[Tensor, " files"]:
    """Return 1 where a face has the attribute."""
    if not bool(attributes[name].isin((-1, 0, 1)).all()):
        raise ValueError(f"list_attr_celeba in {folder} is damaged: {name} must be 1 or -1 throughout")
    return torch.tensor((attributes[name] > 0).to_numpy()).long()
