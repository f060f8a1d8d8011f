"""The options of an expander."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, PositiveInt


@dataclass(frozen=True, kw_only=True)
class ExpanderOptions(Checked):
    """Options of the head whose output the loss compares."""

    projection_features: PositiveInt = 512
    """Width of the projections that the loss compares."""
    hidden_features: PositiveInt = 512
    """Width of the hidden layers of the projection head."""
    projection_layers: PositiveInt = 3
    """Number of layers of the projection head."""
