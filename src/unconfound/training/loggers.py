"""Hand the figures of a training to a logger of Lightning Fabric's interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, final

from unconfound.training.callback import Callback

# Of a row of metrics.csv, what says where the figures belong.
PLACES = ("step", "phase")


class Logger(Protocol):
    """What is used of `lightning_fabric.loggers.Logger`, which those of Lightning extend."""

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Take the settings."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Take figures of one step."""

    def finalize(self, status: str) -> None:
        """Take whether it ended with "success" or was "aborted"."""


@final
class LoggerCallback(Callback):
    """Hands a logger each row of metrics.csv, and what config.toml holds.

    A figure is called PHASE/NAME, as in "train/loss", and a setting SECTION/NAME, as in "training/epochs".

    Args:
        make: makes the logger once the training begins, from the run folder and the number of updates that are told
            already: more than 0 where a run goes on.
    """

    def __init__(self, make: Callable[[Path, int], Logger]) -> None:
        self.make = make
        self.logger: Logger | None = None

    def start(self, folder: Path, config: Mapping[str, Any], *, step: int) -> None:
        self.logger = self.make(folder, step)
        # Fabric's own CSVLogger takes none.
        with suppress(NotImplementedError):
            self.logger.log_hyperparams(_flat(config))

    def row(self, row: Mapping[str, Any]) -> None:
        assert self.logger is not None
        figures = {
            f"{row['phase']}/{name}": float(value)
            for name, value in row.items()
            if name not in PLACES and isinstance(value, int | float)
        }
        self.logger.log_metrics(figures, step=int(row["step"]))

    def end(self, *, finished: bool) -> None:
        if self.logger is not None:
            self.logger.finalize("success" if finished else "aborted")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in config.items():
        settings |= _flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return settings
