"""One comparison at a time in a folder: two would remove what the other has half written."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class FolderLock:
    """A lock on a folder itself, without a file. It ends with the last process that holds it, however that ends.

    Args:
        folder: need not be there yet.
        patience: seconds to wait for a process that is about to end, such as one that was just asked to stop.
    """

    def __init__(self, folder: Path, *, patience: float = 10.0) -> None:
        self.folder = folder
        self.patience = patience
        self.descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, if the folder is there and the lock is not held already.

        Raises:
            ValueError: another process has it.
        """
        if self.descriptor is not None or not self.folder.is_dir():
            return
        self.descriptor = os.open(self.folder, os.O_RDONLY)
        end = time.monotonic() + self.patience
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    return  # a file system that knows no locks
                if time.monotonic() > end:
                    raise ValueError(
                        f"another process is at work in {self.folder}: let it end, or choose another --out"
                    ) from error
            time.sleep(0.05)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.descriptor is not None:
            with suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = None
