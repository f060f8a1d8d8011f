"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from unconfound.lock import try_lock


@contextmanager
def atomic(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to; synced and renamed to `path` at the end, removed on any failure.

    What processes that were killed left half-written in the same folder is removed, too.

    Args:
        path: the final name. Its parent is made where missing. An existing file is replaced.
        folder: True where `path` is a folder: the temporary one exists already, and an existing one is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    temporary, lock = _make_temporary(path)
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
        if lock is not None:
            os.close(lock)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _make_temporary(path: Path) -> tuple[Path, int | None]:
    """Make the folder that is written to, and lock it: who can lock it finds that its writer is dead."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.{_machine()}-", suffix=".partial", dir=path.parent))
        lock = _open_folder(made)
        free = None if lock is None else try_lock(lock)
        # Before it was locked, another process may have taken it for abandoned: then it is gone, or about to be.
        if free is not False and (made.is_dir() if lock is None else _is_at(lock, made)):
            return made, lock
        if lock is not None:
            os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed processes of this machine left, as nobody has locked it.

    Locks need not reach from one machine to another on a file system that they share: what others left stays.
    """
    ours = re.compile(rf"\..+\.{_machine()}-[^.]+\.partial")
    try:
        names = [name for name in os.listdir(parent) if ours.fullmatch(name)]
    except OSError:  # a folder that may be written to, but not read
        return
    for name in names:
        lock = _open_folder(parent / name)
        if lock is None:
            continue
        try:
            if try_lock(lock):
                shutil.rmtree(parent / name, ignore_errors=True)
        finally:
            os.close(lock)


def _open_folder(path: Path) -> int | None:
    """Open a folder; None where it is gone, or cannot be opened, as on Windows."""
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@cache
def _machine() -> str:
    """Name the running system among those that may share a file system: containers of one kernel share its locks."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _sync(path: Path) -> None:
    if path.is_dir():
        # Windows opens no folders, and some file systems sync none.
        folder = _open_folder(path)
        if folder is None:
            return
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(folder)
        return
    # Windows syncs only what may be written to.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
