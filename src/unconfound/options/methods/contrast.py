"""The options of `contrast`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class ContrastOptions(Checked):
    """Options of the projection head and of the loss that compares its output."""

    temperature: PositiveFloat = 0.5
    """Temperature of the softmax over similarities."""
    projection_features: PositiveInt = 128
    """Width of the projections that the loss compares."""
    projection_layers: PositiveInt = 3
    """Number of layers of the projection head."""
