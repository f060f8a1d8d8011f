"""The options of `scarf`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveFloat, PositiveInt
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import CorruptionOptions


@dataclass(frozen=True, kw_only=True)
class SCARFOptions(CorruptionOptions, ContrastOptions):
    """Options of `scarf`; the defaults are the paper's."""

    temperature: PositiveFloat = 1.0
    projection_features: PositiveInt = 256
    projection_layers: PositiveInt = 2
