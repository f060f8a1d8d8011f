"""Damaged files: whatever a library raises at their bytes ends in one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path, *, fault: str = "is damaged", advice: str = "") -> Iterator[None]:
    """Stand at a reader's door: turn any error inside into a ValueError of one line that names the file.

    Libraries raise at a flipped bit whatever they happen to come to (`struct.error`, `tokenize.TokenError`,
    `NotImplementedError`, `UnboundLocalError`, ...), so that no list of types would be whole. Keep what is inside to
    the library's own calls: an error of ours has its own words.

    Args:
        path: the file.
        fault: what the line says of it.
        advice: ends the line, such as "; fetch it anew".

    Raises:
        OSError: the system cannot open or read the file; it has the name already.
        ValueError: any other error.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{path} does not fit into memory, or {fault}{_reason(error)}{advice}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(f"{path} {fault}{_reason(error)}{advice}") from error


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Put a file's name before what errors of ours say inside, unless they start with it.

    Raises:
        FileNotFoundError, ValueError: what was raised, with the name.
    """
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        raise type(error)(f"{path}: {error}") from error


def check_text(path: Path, text: str, *, advice: str) -> None:
    """Raise a ValueError where a text holds a NUL, which no text does: zeros join the lines that they lie between."""
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise ValueError(f"{path}, line {line} holds a NUL character, so it is damaged or not in UTF-8: {advice}")


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    return f": {reason or type(error).__name__}"
