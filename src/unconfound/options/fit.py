"""The arguments of `unconfound fit`, and of every row of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro

from unconfound.options.constraints import NonNegativeInt
from unconfound.options.data import DataOptions
from unconfound.options.encoders import EncoderOptions
from unconfound.options.training import TrainingOptions

Options = TypeVar("Options")
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]


@dataclass(frozen=True, kw_only=True)
class FitArguments(Generic[Options]):
    """Train an encoder with one method; --recipe NAME gives other defaults."""

    out: Path | None = None
    """Run folder; by default runs/METHOD."""
    resume: bool = False
    """Continue the run in --out, or start it if there is none."""
    overwrite: bool = False
    """Remove an earlier run in --out first."""
    monitor_every: NonNegativeInt = 0
    """Number of epochs between looks at the encoder while it trains: how its nearest training samples classify others,
    and the gap where backgrounds or nuisances are exchanged; 0 never looks."""
    trackers: tuple[Tracker, ...] = ()
    """Experiment trackers that get the figures of metrics.csv, too: tensorboard, wandb, mlflow or trackio."""
    data: DataOptions = field(default_factory=DataOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    # Their heading is "NAME options".
    options: Annotated[Options, tyro.conf.arg(name="method")]
    """How the method learns."""
