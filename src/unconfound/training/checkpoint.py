"""What a run needs to go on as if it had never been stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from unconfound.files import atomic
from unconfound.records import record

FORMAT = 2


@dataclass(frozen=True)
class Position:
    """The next update: its epoch, the pass of that epoch, its place there; and the number of updates so far."""

    epoch: int = 0
    data_pass: int = 0
    update: int = 0
    step: int = 0


def save_checkpoint(path: Path, *, method: str, position: Position, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically: the earlier one is there until the new one is whole.

    Raises:
        OSError: the file cannot be written, on a full disk for example.
    """
    content = {"format": FORMAT, "method": method, "position": asdict(position), "state": state}
    with atomic(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer knows no other
            raise OSError(f"cannot write {path} ({str(error).splitlines()[0]}): is the disk full?") from error


def load_checkpoint(path: Path, *, method: str) -> tuple[Position, dict[str, Any]]:
    """Read a checkpoint. Only tensors and plain values are read: nothing in the file is ever executed.

    Raises:
        ValueError: the file is truncated or damaged, holds more than tensors and plain values, or belongs to another
            method or version.
    """
    content = _read(path)
    if content["format"] != FORMAT:
        raise ValueError(
            f"checkpoint {path} has format {content['format']}, this version of unconfound reads {FORMAT}: go on with "
            "the version that wrote it, or start anew with --overwrite"
        )
    if content["method"] != method:
        raise ValueError(
            f"checkpoint {path} is of method {content['method']!r}, not {method!r}: name the same method, or start "
            "anew with --overwrite"
        )
    try:
        if not isinstance(content["state"], dict):
            raise ValueError("its state is no section of names and values")
        return record(Position, content["position"], where="position"), content["state"]
    except ValueError as error:
        raise ValueError(f"{_damaged(path)} ({error})") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        # The archive has a checksum of each of its files, which torch does not compare.
        with ZipFile(path) as archive:
            damaged = archive.testzip()
        content: Any = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what damage raises depends on where it is, an OSError without the file's name included
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(_damaged(path)) from error
    known = {"format", "method", "position", "state"}
    if not isinstance(content, dict) or (content.get("format", FORMAT) == FORMAT and content.keys() != known):
        raise ValueError(_damaged(path))
    return content


def _damaged(path: Path) -> str:
    return (
        f"checkpoint {path} is truncated or damaged, or holds more than tensors and plain values and was not executed: "
        "start anew with --overwrite"
    )
