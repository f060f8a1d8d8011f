"""Weights on disk: a .safetensors file that holds a checksum of its tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unconfound.documents import CHECKSUM, one_line
from unconfound.files import atomic


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors atomically. The checksum is in the same file, so that no kill can part the two.

    Raises:
        OSError: the file cannot be written, on a full disk for example.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic(path) as temporary:
        # The library makes a file that only its owner may read; let it be one that the user's umask makes.
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata={CHECKSUM: digest(tensors)})
        except SafetensorError as error:
            raise OSError(f"cannot write {path} ({error})") from error
        temporary.chmod(mode)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file and compare their checksum. Nothing is unpickled.

    A file without any metadata, of an earlier version of unconfound, has no checksum to compare.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged; in one line, with its name.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError:
        raise
    except Exception as error:  # what damage raises depends on where it is
        raise ValueError(unfit(path, one_line(error))) from error
    if metadata is not None and metadata.get(CHECKSUM) != digest(tensors):
        raise ValueError(unfit(path, "its checksum is not that it had"))
    return tensors


def unfit(path: Path, reason: str) -> str:
    """Say that a file of weights cannot be used, and what to do."""
    return f"{path} is damaged or of another encoder ({reason}): train the encoder anew"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors on the CPU: of their names, types, shapes and values, in the order of names."""
    sha = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        sha.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        sha.update(value.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
    return sha.hexdigest()
