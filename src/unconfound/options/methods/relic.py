"""The options of `relic`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import NonNegativeFloat, PositiveInt, Share
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class RELICOptions(ImageViewOptions, ContrastOptions):
    """Options of `relic`."""

    projection_layers: PositiveInt = 2
    invariance_weight: NonNegativeFloat = 1.0
    """Weight of the divergence between the distributions of the two views in the loss."""
    momentum: Share = 0.99
    """Initial momentum of the target network, a moving average of the trained one; it rises to 1 along half a
    cosine."""
