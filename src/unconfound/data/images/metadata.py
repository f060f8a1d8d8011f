"""A folder of images with a table beside it that says the class, the group and the part of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.divide.splits import drawn_test
from unconfound.data.files.folders import EXTENSIONS, read_layout
from unconfound.data.files.walking import find_files, same_form
from unconfound.data.images.image_table import PARTS, ImageTable, part_numbers, read_image_table
from unconfound.data.images.reading import Reading
from unconfound.data.tables.columns import as_text
from unconfound.data.tables.table_files import read_frame
from unconfound.data.tables.targets import fit_targets, read_targets

# The column of file names is called one of these, or is the first.
FILES = ("file", "img_filename")
SPLITS = {
    **{name: 0 for name in ("0", "train")},
    **{name: 1 for name in ("1", "val", "valid", "validation")},
    **{name: 2 for name in ("2", "test")},
}


@dataclass(frozen=True)
class Metadata:
    """A table beside images.

    Args:
        file: a CSV, TSV or Parquet file. Its column `file` or `img_filename`, or else its first one, holds file names
            relative to the folder of images. A column `split`, where there is one, holds train, val or test, or 0, 1 or
            2.
        label: column of the classes; None: class folders say them.
        group: column of the attribute; None: no groups.
    """

    file: Path
    label: str | None = None
    group: str | None = None


def metadata_folder(
    path: Path,
    metadata: Metadata,
    *,
    reading: Reading,
    masks: Path | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    unseen_classes: bool = False,
) -> Dataset:
    """Read the images of a folder that a table lists, with the groups label x attribute.

    The table decides which images there are: one that it lists and that is not there counts as damaged
    (`Reading.bad_share`), one that it does not list is passed over and noted. Images whose attribute is missing have no
    group (-1): they are trained on, but not counted in figures of groups. Those without a label are unlabelled.

    Args:
        path: the folder of images.
        metadata: the table.
        reading: how images are decoded.
        masks: a folder of foreground masks, one for each image at the same relative path. None: the alpha channel of
            the images is their masks, where most have transparent parts.
        test_share: share of each class to test on where neither the table nor the folder says what to test on.
        seed: for that split.
        unseen_classes: test folders may hold classes that the training folder lacks.

    Raises:
        FileNotFoundError: the folder, the table, all files that it lists, the folder of masks or a mask is missing.
        ValueError: a column is not there, a file is listed twice, a split has an unknown name, no label is given and
            the images lie loose, or too many images are missing or damaged.
    """
    file, label, group = metadata.file, metadata.label, metadata.group
    frame, notes = read_frame(file)
    names = _names(frame, file)
    stated = fit_targets(frame, file, label=label, group=group)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    found = find_files(path, EXTENSIONS, without=masks)
    names = _as_on_disk(names, found.files, path, file)
    unlisted = sorted(set(found.files) - set(names))
    if unlisted:
        notes.append(f"images not in {file.name}, passed over: {len(unlisted):,}, the first is {unlisted[0]}")
    layout_parts = torch.zeros(len(names), dtype=torch.long)
    if label is None:
        folders, layout_parts = _of_folders(path, masks, names, unseen_classes=unseen_classes)
        column = next(name for name in ("class", "folder", "class folder") if name not in frame.columns)
        frame[column] = folders
        stated |= {"label": column, "classes": sorted(name for name in {*folders} if name is not None)}
    if group is not None and bool(frame[group].isna().any()):
        # Unlike a row of a table, an image without the attribute is in no group at all.
        stated["attributes"] = stated["attributes"][:-1]
    labels, groups, group_names = read_targets(frame, stated, notes)
    assert labels is not None
    parts = _stated_parts(frame, file) if "split" in frame.columns else layout_parts
    if not bool((parts > 0).any()) and test_share > 0:
        drawn, said = drawn_test(len(names), labels, test_share, seed)
        parts[drawn["test"]] = 2
        notes += said
    table = ImageTable(
        name=path.name,
        folder=path,
        files=names,
        labels=labels,
        classes=stated["classes"],
        parts=parts,
        groups=groups,
        group_names=group_names,
        masks=masks,
        alpha=True,
        notes=notes,
    )
    return read_image_table(table, reading)


def _names(frame: pd.DataFrame, metadata: Path) -> list[str]:
    """Return the file of each row, with forward slashes."""
    column = next((name for name in FILES if name in frame.columns), frame.columns[0])
    cells = frame[column]
    if bool(cells.isna().any()) or pd.api.types.is_numeric_dtype(cells):
        raise ValueError(
            f"{metadata}: the column {column!r} must name a file in each row: call the column of files {FILES[0]!r}"
        )
    names = [PurePosixPath(str(cell).replace("\\", "/")).as_posix() for cell in cells]
    outside = next((name for name in names if name.startswith("/") or ".." in name.split("/")), None)
    if outside is not None:
        raise ValueError(
            f"{metadata} names the file {outside}: paths must be relative to the folder and stay inside it"
        )
    twice = next((name for name, times in Counter(map(same_form, names)).items() if times > 1), None)
    if twice is not None:
        raise ValueError(f"{metadata} lists {twice} twice: keep one of the rows")
    return names


def _as_on_disk(names: list[str], there: list[str], path: Path, metadata: Path) -> list[str]:
    """Return the names as the folder writes them, which may be in another Unicode form than the table's.

    Raises:
        FileNotFoundError: not one of them is in the folder.
    """
    written = {same_form(name): name for name in there}
    known = [written.get(same_form(name), name) for name in names]
    if known and not any((path / name).exists() for name in known):
        alike = {same_form(PurePosixPath(name).stem): name for name in reversed(there)}
        hint = alike.get(same_form(PurePosixPath(names[0]).stem), there[0] if there else None)
        told = "it holds no image" if hint is None else f"it holds {hint}"
        raise FileNotFoundError(
            f"none of the {len(names):,} files that {metadata} lists is in {path}: {names[0]} is missing, {told}; "
            "name files with their endings and by their path below the folder"
        )
    return known


def _of_folders(
    path: Path, masks: Path | None, names: list[str], *, unseen_classes: bool
) -> tuple[list[str | None], Int[Tensor, " files"]]:
    """Return the class folder of each file, None where it is not there, and the part that the folders say."""
    layout = read_layout(path, without=masks, unseen_classes=unseen_classes)
    if layout.classes is None:
        raise ValueError(f"{path} has no class folders: name the column of the classes (--label)")
    # A second test folder, or more of them, are to validate on.
    place = [{"train": 0, "test": 2}.get(part, 1) for part in layout.parts]
    numbers = [place[number] for number in part_numbers([*layout.parts.values()]).tolist()]
    found = dict(zip(layout.files, zip(layout.classes, numbers, strict=True), strict=True))
    known: list[tuple[str | None, int]] = [found.get(name, (None, 0)) for name in names]
    return [name for name, _ in known], torch.tensor([number for _, number in known])


def _stated_parts(frame: pd.DataFrame, metadata: Path) -> Int[Tensor, " files"]:
    texts: Any = as_text(frame["split"]).fillna("").str.lower()
    numbers = texts.map(SPLITS)
    if bool(numbers.isna().any()):
        first = int(np.flatnonzero(numbers.isna())[0])
        raise ValueError(
            f"{metadata}, row {first + 1} has the split {texts[first]!r}: use {', '.join(('train', 'val', 'test'))}, "
            f"or 0, 1 and 2 for {', '.join(PARTS)}"
        )
    return torch.from_numpy(numbers.to_numpy(np.int64).copy())
