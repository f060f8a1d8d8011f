"""What an encoder's first weights were, as the run that was trained from there records it: `start.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unconfound.documents import read_sealed, sealed
from unconfound.files import write_text
from unconfound.records import record

FILE, FORMAT = "start.json", 1


@dataclass(frozen=True, kw_only=True)
class Started:
    """What an encoder's first weights were.

    Args:
        source: what the user named: a run folder, a file or a published model.
        sha256: checksum of the weights there (`weights.digest`).
        architecture: that of the encoder as it started, of which a run that goes on makes it anew.
        restore: how other data are read as those of the source were; empty where it is no run.
        origin: what is known of how the weights there were trained.
    """

    source: str
    sha256: str
    architecture: dict[str, Any]
    restore: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """What encoder.json says of it."""
        wrappers = len(self.architecture.get("wrappers", ()))
        return {"from": self.source, "sha256": self.sha256, "wrappers": wrappers, **self.origin}

    @property
    def words(self) -> str:
        """In plain words, for logs and reports."""
        trained = f"trained by {self.origin['method']} on {self.origin['data']}" if "method" in self.origin else ""
        return ", ".join(filter(None, (self.source, trained, f"weights {self.sha256[:12]}")))


def write_started(run: Path, started: Started) -> None:
    """Write the file into a run folder, before the training.

    Raises:
        ValueError: the run began with other weights, and has none of its own to go on with yet.
    """
    path = run / FILE
    if path.is_file():
        before = read_started(run)
        if before.sha256 != started.sha256:
            raise ValueError(
                f"{started.source} has other weights than when {run} began ({started.sha256[:12]}, then "
                f"{before.sha256[:12]}): start anew with --overwrite"
            )
    write_text(path, json.dumps(sealed({"format": FORMAT, **asdict(started)}), indent=2) + "\n")


def read_started(run: Path) -> Started:
    """Read the file of a run folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged; in one line, with its name.
    """
    path, remedy = run / FILE, "start anew with --overwrite"
    values = read_sealed(path, format=FORMAT, remedy=remedy)
    try:
        return record(Started, values)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {remedy}") from error
