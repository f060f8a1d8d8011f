"""Results that took long to compute, kept in folders on disk: whole or absent, and limited in size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from unconfound.files import atomic, write_text

Loaded = TypeVar("Loaded")


def cache_folder(given: Path | None) -> Path:
    """Return the folder given, else the one that UNCONFOUND_CACHE names, else ~/.cache/unconfound."""
    named = os.environ.get("UNCONFOUND_CACHE")
    return given or (Path(named) if named else Path.home() / ".cache" / "unconfound")


def cache_limit() -> int:
    """Return how many bytes a cache may hold: UNCONFOUND_CACHE_GIB gibibytes, 20 where it is not set.

    Raises:
        ValueError: the variable is not a number of at least 0.
    """
    stated = os.environ.get("UNCONFOUND_CACHE_GIB", "20")
    try:
        gibibytes = float(stated)
        if not 0 <= gibibytes < float("inf"):
            raise ValueError
    except ValueError:
        raise ValueError(f"UNCONFOUND_CACHE_GIB is {stated!r}: it must be a number of at least 0") from None
    return int(gibibytes * 2**30)


class Cache:
    """Folders by key. Of several processes that ask for one key, the first builds and the others wait for it.

    Args:
        root: where the folders are; made when first written to.
        limit: bytes that all entries together may have. When a new one exceeds it, those that were used least
            recently are removed, never the new one. Files that another process has mapped live on until it ends.
    """

    def __init__(self, root: Path, *, limit: int) -> None:
        self.root = root
        self.limit = limit

    def entry(self, key: str, *, load: Callable[[Path], Loaded], build: Callable[[Path], None]) -> Loaded:
        """Return `load(folder)` of the entry, after `build(folder)` where it is absent or does not load.

        Args:
            key: a file name.
            load: reads the entry; it raises OSError, ValueError, KeyError or TypeError where the entry is damaged.
            build: fills an empty folder. Killed or failing, it leaves no entry.

        Raises:
            OSError: the entry can neither be read nor written (full disk, no permission).
        """
        folder = self.root / key
        with self._locked(key):
            try:
                loaded = load(folder)
            except (OSError, ValueError, KeyError, TypeError):
                self._remove_leftovers(key)
                with atomic(folder, folder=True) as temporary:
                    build(temporary)
                loaded = load(folder)
                self._evict(keep=key)
            with suppress(OSError):
                os.utime(folder)
            return loaded

    def remember(self, name: str, value: str) -> None:
        """Keep a short text under a name. Nothing happens where it cannot be written."""
        with suppress(OSError):
            write_text(self.root / "names" / name, value)

    def recall(self, name: str) -> str | None:
        """Return what `remember` keeps under a name, or None."""
        try:
            return (self.root / "names" / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    @contextmanager
    def _locked(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the key's lock; yields False where another process holds it and `wait` is False.

        On a file system without locks, or one that is read-only, the entry is used without: it is replaced in one
        step, so that the worst is that two processes build the same.
        """
        with suppress(OSError):
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
        lock, held = FileLock(self.root / "locks" / key), True
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            held = False
        except (OSError, NotImplementedError):
            held = wait
        try:
            yield held
        finally:
            lock.release()

    def _remove_leftovers(self, key: str) -> None:
        """Remove what a killed build of the key left; nobody else builds it while the lock is held."""
        for leftover in self.root.glob(f".{key}.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _evict(self, *, keep: str) -> None:
        entries = [path for path in self.root.iterdir() if path.is_dir() and path.name not in ("locks", "names")]
        sizes = {path: _size(path) for path in entries}
        kept = sum(sizes.values())
        for path in sorted(entries, key=_last_use):
            key = path.name if not path.name.startswith(".") else path.name.split(".")[1]
            # A hidden folder is a build: running, then its lock is held, or left by a process that was killed.
            if key == keep or (kept <= self.limit and path.name == key):
                continue
            with self._locked(key, wait=False) as held:
                if held:
                    shutil.rmtree(path, ignore_errors=True)
                    kept -= sizes[path]
        left = {path.name for path in entries if path.exists()}
        for name in (self.root / "names").glob("*"):
            if self.recall(name.name) not in left:
                name.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
