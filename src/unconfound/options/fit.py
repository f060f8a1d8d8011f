"""The arguments of `unconfound fit`, and of every row of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import tyro

from unconfound.options.data import DataOptions
from unconfound.options.encoders import EncoderOptions
from unconfound.options.training import TrainingOptions

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class FitArguments(Generic[Options]):
    """Train an encoder with one method; --recipe NAME gives other defaults."""

    out: Path | None = None
    """Run folder; by default runs/METHOD."""
    resume: bool = False
    """Continue the run in --out, or start it if there is none."""
    overwrite: bool = False
    """Remove an earlier run in --out first."""
    data: DataOptions = field(default_factory=DataOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    # Their heading is "NAME options".
    options: Annotated[Options, tyro.conf.arg(name="method")]
    """How the method learns."""
