"""The options of `simclr`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveInt
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SimCLROptions(ImageViewOptions, ContrastOptions):
    """Options of `simclr`."""

    projection_layers: PositiveInt = 2
