"""What a run needs to go on as if it had never been stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch

from unconfound.files import atomic

FORMAT = 1


@dataclass(frozen=True)
class Position:
    """The next update: its epoch, the pass of that epoch, its place there; and the number of updates so far."""

    epoch: int = 0
    data_pass: int = 0
    update: int = 0
    step: int = 0


def save_checkpoint(path: Path, *, method: str, position: Position, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically: the earlier one is there until the new one is whole."""
    with atomic(path) as temporary:
        torch.save({"format": FORMAT, "method": method, "position": asdict(position), "state": state}, temporary)


def load_checkpoint(path: Path, *, method: str) -> tuple[Position, dict[str, Any]]:
    """Read a checkpoint. Only tensors and plain values are read: nothing in the file is ever executed.

    Raises:
        ValueError: the file is truncated or damaged, holds more than tensors and plain values, or belongs to another
            method.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, position, state = content["method"], Position(**content["position"]), content["state"]
        if content["format"] != FORMAT:
            raise ValueError(f"checkpoint {path} has format {content['format']}, this version reads {FORMAT}")
    except UnpicklingError as error:
        raise ValueError(
            f"checkpoint {path} is damaged, or holds more than tensors and plain values and was not executed: "
            "start anew with --overwrite"
        ) from error
    except (RuntimeError, EOFError, BadZipFile, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"checkpoint {path} is truncated or damaged: start anew with --overwrite") from error
    if found != method:
        raise ValueError(
            f"checkpoint {path} is of method {found!r}, not {method!r}: name the same method, or start anew "
            "with --overwrite"
        )
    return position, state
