"""The options of `scarf`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import CorruptionOptions


@dataclass(frozen=True, kw_only=True)
class SCARFOptions(CorruptionOptions, ContrastOptions):
    """Options of `scarf`; the defaults are the paper's."""

    temperature: float = 1.0
    """of the softmax over similarities; above 0"""
    projection_features: int = 256
    """width of the projections that the loss compares"""
    projection_layers: int = 2
    """layers of the projection head"""

    def __post_init__(self) -> None:
        CorruptionOptions.__post_init__(self)
        ContrastOptions.__post_init__(self)
