"""The rule that damaged files are held to: read, or refused in one line that names the file."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .damage import damaged

# A read may take so much beside what the process has; the files have a few kilobytes.
MEMORY = 2 * 2**30
# Seconds of the processor's time, not of the clock.
PATIENCE = 20.0


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: what it is.
        make: writes a sound file, and what else its reader needs, into an empty folder; returns the file to damage.
        read: reads it and returns what it holds, as values that can be compared.
        sealed: the file has a checksum, so that damage is refused or changes nothing.
        several: files beside it say something of the same things, so that any of them may be named where they differ.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    sealed: bool = False
    several: bool = False


def faults(kind: Kind, folder: Path, cases: Sequence[int]) -> list[str]:
    """Return what is wrong with how damaged files of a kind are read; nothing where all is well.

    Args:
        kind: of the file.
        folder: an empty one.
        cases: which damages (see `damaged`).
    """
    path = kind.make(folder)
    content = path.read_bytes()
    sound = kind.read(path)
    names = {file.name for file in folder.rglob("*") if file.is_file()} if kind.several else {path.name}
    found = []
    with _limited():
        for case in cases:
            path.unlink(missing_ok=True)
            path.write_bytes(damaged(content, case))
            if fault := _fault(kind, path, sound, names):
                found.append(f"{kind.name}, case {case}: {fault}")
    return found


def _fault(kind: Kind, path: Path, sound: Any, names: Set[str]) -> str:
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        read = kind.read(path)
    except (ValueError, TypeError, OSError) as error:
        line = str(error)
        if "\n" in line:
            return f"{type(error).__name__} of several lines: {line!r}"
        return (
            "" if any(name in line for name in names) else f"{type(error).__name__} does not name {path.name}: {line}"
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "used without a word, though altered" if kind.sealed and read != sound else ""


class TooLongError(Exception):
    """A read that would not end."""


@contextmanager
def _limited() -> Iterator[None]:
    """Let a read that believes a size in a file fail instead of the machine, and end one that goes on for ever."""

    def stop(*_: object) -> None:
        raise TooLongError(f"more than {PATIENCE:.0f} s")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)
