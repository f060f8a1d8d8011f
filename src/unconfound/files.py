"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to; synced and renamed to `path` at the end, removed on any failure.

    Args:
        path: the final name. Its parent is made where missing. An existing file is replaced.
        folder: True where `path` is a folder: the temporary one exists already, and an existing one is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    written = temporary if folder else temporary / path.name
    try:
        yield written
        for file in [*written.rglob("*"), written] if folder else [written]:
            _sync(file)
        if folder and path.exists():
            # A folder cannot be replaced in one step: the old one moves aside, so that one of the two is always whole.
            old = temporary.with_suffix(".old")
            path.rename(old)
            written.rename(path)
            shutil.rmtree(old)
        else:
            written.replace(path)
        _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
