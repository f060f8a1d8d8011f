"""The files below a folder, without what systems leave there, and names as they compare."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

# Folders that a NAS, macOS, Windows or Linux keeps beside a user's own: thumbnails, resource forks, removed files.
# Hidden ones (.thumbnails, .ipynb_checkpoints, .AppleDouble, ._1.png) are known by their point.
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "$recycle.bin"}
    | {"lost+found", "system volume information"}
)


class FolderFiles(NamedTuple):
    """What lies below a folder.

    Args:
        files: paths relative to it, with forward slashes, sorted.
        others: how many files have other endings.
        passed_over: folders, hidden or a system's own, that were not looked into.
    """

    files: list[str]
    others: int
    passed_over: list[str]

    def notes(self, what: str) -> list[str]:
        """Say what is no file of this kind."""
        notes = [f"files that are not {what}s by their names, passed over: {self.others:,}"] if self.others else []
        if self.passed_over:
            notes.append(
                f"hidden folders and those that a system keeps, passed over: {len(self.passed_over):,}, the first is "
                f"{self.passed_over[0]}"
            )
        return notes


def of_system(name: str) -> bool:
    """Say whether a file or folder is hidden or a system's own by its name."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def same_form(name: str) -> str:
    """Return a name in one Unicode form (NFC): an accent may be written as one character with its letter, or two."""
    return unicodedata.normalize("NFC", name)


def find_files(root: Path, extensions: Collection[str], *, without: Path | None = None) -> FolderFiles:
    """Find all files below a folder that end like this."""
    found, others, passed_over = [], 0, list[str]()
    real = None if without is None else os.path.realpath(without)
    for folder, files in walk(str(root), "", set(), real, passed_over):
        for file in files:
            if os.path.splitext(file)[1].lower() in extensions:
                found.append(folder + file)
            else:
                others += 1
    return FolderFiles(sorted(found), others, passed_over)


def walk(
    root: str, folder: str, above: set[str], without: str | None, passed_over: list[str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below `root` (relative, with its slash) and its files, without hidden ones and systems' own.

    The folders among these are added to `passed_over`.
    """
    real = os.path.realpath(os.path.join(root, folder))
    if real in above or real == without:  # a link to a folder that holds the link would never end
        return
    with os.scandir(os.path.join(root, folder)) as entries:
        inside = sorted((entry.name, entry.is_dir()) for entry in entries)
    yield folder, [name for name, is_folder in inside if not is_folder and not name.startswith(".")]
    for name, is_folder in inside:
        if is_folder and not of_system(name):
            yield from walk(root, f"{folder}{name}/", above | {real}, without, passed_over)
        elif is_folder and passed_over is not None:
            passed_over.append(f"{folder}{name}")
