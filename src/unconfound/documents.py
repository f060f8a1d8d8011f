"""JSON and TOML files: read through one door, and sealed by a checksum where nobody edits them by hand."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

CHECKSUM = "checksum"


def read_json(path: Path, *, remedy: str) -> Any:
    """Read a JSON file.

    Args:
        path: of the file.
        remedy: what to do where it is damaged, for the error.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
        ValueError: it is no JSON; in one line, with its name.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({one_line(error)}): {remedy}") from error


def read_toml(path: Path | Traversable, *, kind: str = "") -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: of the file.
        kind: what the file is, for the error: "recipe", say.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
        ValueError: it is no TOML; in one line, with its name.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{kind} {path} cannot be read: it is not TOML ({one_line(error)})".lstrip()) from error


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a JSON file with a checksum by which `read_sealed` knows that they are whole."""
    plain = json.loads(json.dumps(values))
    return {**plain, CHECKSUM: _digest(plain)}


def read_sealed(path: Path, *, format: int, remedy: str) -> dict[str, Any]:
    """Read a file of `sealed` values. One of an earlier version, without a checksum, is read as it is.

    Args:
        path: of the file.
        format: which of its values "format" must be.
        remedy: what to do where it is damaged, for the error.

    Returns:
        Its values, without format and checksum.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
        ValueError: it is damaged or of another format; in one line, with its name.
    """
    values = read_json(path, remedy=remedy)
    if not isinstance(values, dict) or "format" not in values:
        raise ValueError(f"{path} is damaged (it has no format): {remedy}")
    if values["format"] != format:
        raise ValueError(f"{path} has format {values['format']!r}, this version of unconfound reads {format}")
    if CHECKSUM in values and values.pop(CHECKSUM) != _digest(values):
        raise ValueError(f"{path} is damaged (its checksum is not that it had): {remedy}")
    del values["format"]
    return values


def one_line(error: Exception) -> str:
    """Return what an error says, in one line that is not too long."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _digest(values: Mapping[str, Any]) -> str:
    # By value: the order of names and the layout of the text say nothing.
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
