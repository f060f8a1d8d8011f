"""Waterbirds: land and water birds on land and water.

Birds of CUB-200-2011 pasted onto photographs of Places; in training 95 % of either kind stand on their own
surroundings, in validation and test half.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.files.set_folder import group_count_notes, need_files, published_folder
from unconfound.data.images.image_table import ImageTable, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

WATERBIRDS = PublicSet(
    name="waterbirds",
    modality="images",
    about="Waterbirds: land and water birds on land and water, four groups",
    paper="Sagawa, Koh, Hashimoto and Liang, Distributionally Robust Neural Networks for Group Shifts, ICLR 2020",
    source="https://github.com/kohpangwei/group_DRO",
    reader="sets.waterbirds:waterbirds",
    folders=("waterbirds_v1.0", "waterbird_complete95_forest2water2"),
    counts={"training images": 4_795, "validation images": 1_199, "test images": 5_794},
)
CLASSES = ("landbird", "waterbird")
GROUPS = ("landbird on land", "landbird on water", "waterbird on land", "waterbird on water")
# Samples of each group, as published.
PUBLISHED = {
    "train": (3498, 184, 56, 1057),
    "validation": (467, 466, 133, 133),
    "test": (2255, 2255, 642, 642),
}
_COLUMNS = {"y": (0, 1), "place": (0, 1), "split": (0, 1, 2)}


def waterbirds(root: Path | None, *, reading: Reading) -> Dataset:
    """Read Waterbirds with its official split: training, validation, test.

    The groups are 2 y + place. An image's central square is resized. The paper squeezes the whole image to 256 x 256
    pixels and cuts out the central 224 x 224: it changes proportions and leaves a margin out, where we do neither, but
    leave out the ends of the longer side.

    Args:
        root: the folder that holds `waterbirds_v1.0` (as WILDS unpacks it) or `waterbird_complete95_forest2water2` (as
            the paper's authors publish it), or that folder itself: `metadata.csv` and the images that it names.
        reading: how images are decoded.

    Raises:
        FileNotFoundError: the folder or the table is missing.
        ValueError: the table is damaged, or too many images are missing or damaged.
    """
    from unconfound.data.tables.table_files import read_frame  # which imports pandas

    folder = published_folder(WATERBIRDS, root)
    need_files(WATERBIRDS, folder, ["metadata.csv"])
    frame, _ = read_frame(folder / "metadata.csv")
    missing = [name for name in ("img_filename", *_COLUMNS) if name not in frame.columns]
    if missing:
        raise ValueError(f"{folder / 'metadata.csv'} has no column {', '.join(missing)}: use the file as published")
    label, place, part = (_whole_numbers(frame, name, folder / "metadata.csv") for name in _COLUMNS)
    groups = 2 * label + place
    table = ImageTable(
        name="waterbirds",
        folder=folder,
        files=[str(name) for name in frame["img_filename"]],
        labels=label,
        classes=CLASSES,
        parts=part,
        groups=groups,
        group_names=GROUPS,
        notes=group_count_notes(groups, part, GROUPS, PUBLISHED),
    )
    return read_image_table(table, reading)


def _whole_numbers(frame: Any, name: str, path: Path) -> Int[Tensor, " rows"]:
    """Return a column of a pandas.DataFrame."""
    wrong = frame.index[~frame[name].isin(_COLUMNS[name])]
    if len(wrong):
        raise ValueError(
            f"{path}, row {wrong[0] + 1} has {frame[name][wrong[0]]} as {name}: "
            f"{', '.join(map(str, _COLUMNS[name]))} is needed"
        )
    return torch.tensor(frame[name].astype("int64").to_numpy())
