"""One process at a time in a folder: two would remove what the other has half written."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from filelock import FileLock

_held: set[int] = set()


class FolderLock:
    """A lock on a folder itself, without a file. It ends with the last process that holds it, however that ends.

    Processes that are forked meanwhile, such as those that read data ahead, do not hold it. Windows locks no folders:
    there it is a file beside the folder.

    Args:
        folder: need not be there yet.
        patience: seconds to wait for a process that is about to end, such as one that was just asked to stop.
    """

    def __init__(self, folder: Path, *, patience: float = 10.0) -> None:
        self.folder = folder
        self.patience = patience
        self.descriptor: int | None = None
        self.file: FileLock | None = None

    def acquire(self) -> None:
        """Take the lock, if the folder is there and the lock is not held already.

        Raises:
            ValueError: another process has it.
        """
        if self.descriptor is not None or self.file is not None or not self.folder.is_dir():
            return
        if fcntl is None:
            self._acquire_file()
            return
        self.descriptor = os.open(self.folder, os.O_RDONLY)
        _held.add(self.descriptor)
        end = time.monotonic() + self.patience
        while try_lock(self.descriptor) is False:  # not where a file system knows no locks
            if time.monotonic() > end:
                raise self._busy()
            time.sleep(0.05)

    def _acquire_file(self) -> None:
        from filelock import FileLock, Timeout

        folder = self.folder.resolve()
        self.file = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            self.file.acquire(timeout=self.patience)
        except Timeout as error:
            raise self._busy() from error

    def _busy(self) -> ValueError:
        return ValueError(f"another process is at work in {self.folder}: let it end, or choose another --out")

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.release()
            self.file = None
        if self.descriptor is not None:
            # In a process that was forked meanwhile it is closed, and the number may be another file's.
            if self.descriptor in _held:
                _held.remove(self.descriptor)
                with suppress(OSError):
                    os.close(self.descriptor)
            self.descriptor = None


@contextmanager
def alone_in(folder: Path, check: Callable[[], None]) -> Iterator[FolderLock]:
    """Make a folder and hold it for this process alone, if it may be written to.

    The check is made before anything is made, and again under the lock: by then another process may have begun there,
    and ended. Folders that were made here are removed where nothing was written to them.

    Args:
        folder: need not be there yet.
        check: raises a ValueError where the folder may not be written to.

    Raises:
        ValueError: from `check`, or another process is at work there.
    """
    check()
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FolderLock(folder) as lock:
            lock.acquire()
            check()
            yield lock
    finally:
        for each in missing:
            with suppress(OSError):  # not where something is in it
                each.rmdir()


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file or folder, until the last process that has it open ends or closes it.

    Returns:
        Whether it is locked now; False where another has locked it, None where the file system knows no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def inherit(descriptor: int) -> None:
    """Hold a lock that the process which started this one passed on."""
    _held.add(descriptor)


def _let_go() -> None:
    """In a forked process: the lock is its parent's."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
