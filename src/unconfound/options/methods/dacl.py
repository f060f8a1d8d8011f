"""The options of `dacl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import MixingOptions


@dataclass(frozen=True, kw_only=True)
class DACLOptions(MixingOptions, ContrastOptions):
    """Options of `dacl`."""

    mix: Literal["auto", "input", "representation"] = "auto"
    """Mix the input or the encoder's output (representation); auto mixes the input of images and tables, and the output
    for other data."""
