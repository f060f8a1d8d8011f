"""The options of `byol`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveInt, Share
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class BYOLOptions(ImageViewOptions):
    """Options of `byol`."""

    projection_features: PositiveInt = 128
    """Width of the projections and of their predictions."""
    hidden_features: PositiveInt = 1024
    """Width of the hidden layers of the projection head and of the predictor."""
    momentum: Share = 0.99
    """Initial momentum of the target network, a moving average of the trained one; it rises to 1 along half a
    cosine."""
