"""The folder of an index: one writer at a time, and nothing left of what a kill interrupted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unconfound.lock import alone_in
from unconfound.outputs import entries
from unconfound.retrieval.manifest import NAME, read_manifest

_FILES = r"embeddings-[\d-]+\.npy|items-[\d-]+\.parquet|encoder-[0-9a-f]{16}"
# The second part are files that were being written (see `files.atomic`).
_OURS = re.compile(rf"{_FILES}|\.({_FILES}|{re.escape(NAME)})\..+\.partial")


def check_index_folder(folder: Path, *, change: bool, overwrite: bool) -> None:
    """Refuse a folder that does not fit the request, before anything is read or changed.

    Args:
        folder: of the index.
        change: the index that is there is to be changed.
        overwrite: an index that is there is to be replaced.

    Raises:
        FileNotFoundError: there is no index to change.
        ValueError: there is an index, or something else.
    """
    held = entries(folder)
    there = (folder / NAME).is_file()
    if change and not there:
        raise FileNotFoundError(f"{folder} holds no index to change: leave --add and --remove out to make one")
    if there and not (change or overwrite):
        raise ValueError(f"{folder} holds an index: give --add to add to it, or --overwrite to replace it")
    others = [path.name for path in held if not _OURS.fullmatch(path.name)]
    if others and not there:
        raise ValueError(f"{folder} holds files but no index, {others[0]} for example: choose another --out")


@contextmanager
def writing(folder: Path, *, change: bool, overwrite: bool) -> Iterator[None]:
    """Hold the index for one writer, and remove, before and after, what belongs to no finished index.

    Args:
        folder, change, overwrite: as `check_index_folder` takes them.

    Raises:
        FileNotFoundError, ValueError: from `check_index_folder`, or another process is writing.
    """
    with alone_in(folder, lambda: check_index_folder(folder, change=change, overwrite=overwrite)):
        clean(folder)
        try:
            yield
        finally:
            clean(folder)


def clean(folder: Path) -> None:
    """Remove the files of earlier or unfinished generations, by the names that only an index gives its files."""
    try:
        manifest = read_manifest(folder)
        kept = {manifest.encoder, *(file.name for file in manifest.files())}
    except FileNotFoundError:
        kept = set()
    except ValueError:
        return  # damaged: what it needs is not known
    for path in folder.iterdir():
        if path.name not in kept and _OURS.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def next_generation(folder: Path) -> int:
    """Return a number that no file of the folder has in its name."""
    found = [re.match(r"(?:embeddings|items)-(\d+)", path.name) for path in folder.iterdir()]
    return 1 + max((int(each[1]) for each in found if each), default=0)
