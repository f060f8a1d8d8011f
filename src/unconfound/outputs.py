"""May a file or a folder be written to? This is asked before anything is read or changed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

# What a kill leaves of a file that was being written (see `files.atomic`).
HALF_WRITTEN = ".*.partial"


def check_output_file(path: Path, *, overwrite: bool, suffixes: Sequence[str] = ()) -> None:
    """Refuse a file that is there already, or of a kind that cannot be written.

    Raises:
        ValueError: it is there and `overwrite` is not given, or it ends in none of `suffixes`.
    """
    if suffixes and path.suffix not in suffixes:
        raise ValueError(f"--out {path} must end in {' or '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already: choose another --out, or give --overwrite")


def check_output_folder(
    path: Path,
    *,
    kind: str,
    markers: Collection[str],
    resume: bool,
    overwrite: bool,
    begun: Collection[str] = (),
) -> None:
    """Refuse a folder that holds something else than what is to be resumed or overwritten.

    Args:
        path: the folder.
        kind: what it is to hold, as in "run".
        markers: files that it has if it holds one.
        resume: what is there is to go on.
        overwrite: what is there is to be removed.
        begun: files that do not count, as what is there has only begun.

    Raises:
        ValueError: the folder holds something and neither `resume` nor `overwrite` is given, or no such thing.
    """
    if resume and overwrite:
        raise ValueError(f"--resume goes on with a {kind} and --overwrite removes it: give one of them")
    if {entry.name for entry in entries(path)} - set(begun):
        if not all((path / marker).is_file() for marker in markers):
            raise ValueError(f"{path} holds files but no {kind}: choose another --out")
        if not (resume or overwrite):
            raise ValueError(f"{path} holds another {kind}: choose another --out, or give --resume or --overwrite")


def entries(path: Path) -> list[Path]:
    """Return what a folder holds, but for what was left half-written; nothing where there is no folder.

    Raises:
        ValueError: it is a file.
    """
    if not path.exists():
        return []
    if not path.is_dir():
        raise ValueError(f"{path} is a file: --out takes a folder")
    return sorted(set(path.iterdir()) - set(path.glob(HALF_WRITTEN)))


def remove_half_written(folder: Path, *, within: bool = False) -> None:
    """Remove what a kill left half-written in a folder, and in all folders `within` it where that is asked for."""
    for left in folder.rglob(HALF_WRITTEN) if within else folder.glob(HALF_WRITTEN):
        shutil.rmtree(left)
