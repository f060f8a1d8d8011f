"""What can follow a training: told what happens, without a say in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn


class Callback:
    """Is told what a training does; each method does nothing unless a subclass says otherwise.

    Of several processes only the first one tells. Random numbers are seeded anew before each update, so that a callback
    may draw them: the training is the same with and without it. An exception ends the training, which can be resumed.
    """

    def start(self, folder: Path, config: Mapping[str, Any], *, step: int) -> None:
        """Hear that a training begins.

        Args:
            folder: of the run.
            config: what config.toml holds.
            step: updates that an earlier process has made of it; rows up to this step are told already.
        """

    def row(self, row: Mapping[str, Any]) -> None:
        """Hear a row of metrics.csv: step, epoch (the first is 1), phase, and figures by name."""

    def epoch(self, epoch: int, encoder: nn.Module) -> Mapping[str, float]:
        """Look at the encoder after an epoch; return figures for metrics.csv, by name.

        Args:
            epoch: the first is 1.
            encoder: as it would be saved now, on the device of the training; leave its weights and mode as they are.
        """
        return {}

    def alarm(self, line: str) -> None:
        """Hear a warning in plain words, such as that embeddings collapse."""

    def end(self, *, finished: bool) -> None:
        """Hear that the training ends here, finished or to be resumed; also where an exception ends it."""
