"""The folder of a public set: where its files are, which of them are missing, and whether they are all there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.options.data_sets import PublicSet


def published_folder(known: PublicSet, root: Path | None) -> Path:
    """Return the folder of a public set: the one of its names that is inside of the root, else the root itself.

    Raises:
        ValueError: no root is given.
        FileNotFoundError: the root is not there.
    """
    if root is None:
        raise ValueError(f"{known.name} is read from files: say which folder holds them (--data-root)")
    if not root.is_dir():
        raise FileNotFoundError(f"{known.name} needs the folder {root}: there is none; nothing is downloaded")
    return next((root / inside for inside in known.folders if (root / inside).is_dir()), root)


def need_files(known: PublicSet, folder: Path, files: Sequence[str]) -> None:
    """Raise a FileNotFoundError that lists the files, and the folders with their slash, that are missing in a folder.

    Where none of them is there, it is the folder's usual name that is told.
    """
    missing = [
        file for file in files if not ((folder / file).is_dir() if file.endswith("/") else (folder / file).is_file())
    ]
    if missing:
        usual = len(missing) < len(files) or any(folder.match(inside) for inside in known.folders)
        place = folder if usual or not known.folders else folder / known.folders[0]
        raise FileNotFoundError(
            f"{known.name} needs {', '.join(missing)} in {place}: nothing is downloaded, put them there"
        )


def count_notes(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """Note what there is another number of than was published."""
    return [
        f"subset: {counts[what]:,} of {known:,} {what}" for what, known in published.items() if counts[what] != known
    ]


def group_count_notes(
    groups: Int[Tensor, " samples"],
    parts: Int[Tensor, " samples"],
    names: Sequence[str],
    published: Mapping[str, Sequence[int]],
) -> list[str]:
    """Note each part, by its place among the published, that has other numbers of samples in its groups."""
    notes = []
    for number, (part, numbers) in enumerate(published.items()):
        counts = torch.bincount(groups[parts == number], minlength=len(names)).tolist()
        if counts != list(numbers):
            told = zip(names, counts, numbers, strict=True)
            notes.append(
                f"subset: {part} has {'; '.join(f'{count:,} of {known:,} {name}' for name, count, known in told)}"
            )
    return notes
