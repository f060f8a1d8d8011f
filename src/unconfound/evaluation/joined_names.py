"""Which row of a file is which sample of the data, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.evaluation.embedding_files import EmbeddingFile

# Sets that are made from the samples of others: their rows say so.
EXCHANGED = ("mixed-same", "mixed-rand", "only-foreground", "only-background", "train-foreground", "train-exchanged")
# What others call the sets.
SET_NAMES = {"0": "train", "1": "validation", "2": "test", "val": "validation", "valid": "validation"}
# A set that has this name in the file and another one in the data.
ALSO = {"original": "test", "test": "original"}
SHOWN = 3


@dataclass(frozen=True)
class Wanted:
    """The samples of one set.

    Args:
        names: of the samples, or their places where they have none.
        placed: whether these are places, which say nothing without the name of the set.
    """

    names: Sequence[str]
    placed: bool = False


def rows_of_sets(file: EmbeddingFile, wanted: Mapping[str, Wanted]) -> dict[str, Int[Tensor, " samples"]]:
    """Find the row of each sample of each set.

    A row is of the set that its split names, or the last folder in its name that is called as a set. A row of no such
    set belongs to whatever sample has its name. Names are compared as they are; where none is the same, from the end,
    by as many folders as the samples' names have; and then without their endings.

    Args:
        file: with names.
        wanted: set -> its samples.

    Returns:
        Set -> the row of each sample, -1 where it has none.

    Raises:
        ValueError: the file has no names, two rows for one sample, or no row of any sample.
    """
    if file.names is None:
        raise ValueError(
            f"{file.path} names no samples, so that its rows cannot be joined to the data: give --names FILE, with the "
            "name of each row on a line, or a column `name`"
        )
    depths = {len(PurePosixPath(name).parts) for each in wanted.values() for name in each.names}
    best: dict[str, Tensor] = {}
    joined, twice = 0, ""
    for shorten in (_whole, _tail, _bare_tail):
        rows, doubled = _keys(file, {*wanted}, depths, shorten)
        used = {name: _used(name, each, rows, shorten) for name, each in wanted.items()}
        keys = [key for each in used.values() for key in each if key is not None]
        if len(keys) > joined:
            joined = len(keys)
            best = {
                name: torch.tensor([-1 if key is None else rows[key] for key in each], dtype=torch.int64)
                for name, each in used.items()
            }
            twice = next((name for set_name, name in keys if (set_name, name) in doubled), "")
    if not joined:
        theirs = [name for each in wanted.values() for name in each.names]
        raise ValueError(
            f"none of the {len(file.names):,} rows of {file.path} has the name of a sample: it has "
            f"{first_of(file.names)}, the data have {first_of(theirs)}"
        )
    if twice:
        raise ValueError(f"{file.path} has several rows for the sample {twice}: leave one of them")
    return best


def first_of(names: Sequence[str]) -> str:
    """Name the first few."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


Shorten = Callable[[str, set[int]], list[str]]


def _whole(name: str, depths: set[int]) -> list[str]:
    return [name]


def _tail(name: str, depths: set[int]) -> list[str]:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ["/".join(parts[-depth:]) for depth in depths if depth <= len(parts)]


def _bare_tail(name: str, depths: set[int]) -> list[str]:
    return [str(PurePosixPath(tail).with_suffix("")) for tail in _tail(name, depths) if PurePosixPath(tail).name]


def _keys(
    file: EmbeddingFile, sets: set[str], depths: set[int], shorten: Shorten
) -> tuple[dict[tuple[str, str], int], set[tuple[str, str]]]:
    """Return (set, name) -> row, the set "" standing for any that is not made from others; and the keys of several."""
    rows: dict[tuple[str, str], int] = {}
    doubled: set[tuple[str, str]] = set()
    known = {*sets, *EXCHANGED, *ALSO}
    assert file.names is not None
    for row, name in enumerate(file.names):
        split = "" if file.splits is None else file.splits[row]
        split = SET_NAMES.get(split, split)
        parts = PurePosixPath(name.replace("\\", "/")).parts
        place = next((place for place in reversed(range(len(parts) - 1)) if parts[place] in known), None)
        keys = {(split, key) for key in shorten(name, depths)}
        if place is not None:
            split = split or parts[place]
            keys |= {(parts[place], key) for key in shorten("/".join(parts[place + 1 :]), depths)}
        if split not in EXCHANGED:
            keys |= {("", key) for key in shorten(name, depths)}
        doubled |= keys & rows.keys()
        rows |= dict.fromkeys(keys, row)
    return rows, doubled


def _used(
    name: str, wanted: Wanted, rows: Mapping[tuple[str, str], int], shorten: Shorten
) -> list[tuple[str, str] | None]:
    """Return the key by which each sample of a set has a row, None where it has none."""
    sets = [name, *([ALSO[name]] if name in ALSO else [])]
    if name not in EXCHANGED and not wanted.placed:
        sets.append("")
    found: list[tuple[str, str] | None] = []
    for sample in wanted.names:
        keys = shorten(sample, {len(PurePosixPath(sample).parts)})
        found.append(next(((each, key) for each in sets for key in keys if (each, key) in rows), None))
    return found
