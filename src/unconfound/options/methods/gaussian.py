"""The options of `gaussian`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import NoiseOptions


@dataclass(frozen=True, kw_only=True)
class GaussianOptions(NoiseOptions, ContrastOptions):
    """Options of `gaussian`."""

    noise_at: Literal["auto", "input", "representation"] = "auto"
    """Add noise to the input or to the encoder's output (representation); auto adds it to the input of images and
    tables, and to the output for other data."""
