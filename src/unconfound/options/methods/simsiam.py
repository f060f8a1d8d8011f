"""The options of `simsiam`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveInt
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SimSiamOptions(ImageViewOptions):
    """Options of `simsiam`."""

    projection_features: PositiveInt = 2048
    """Width of the projections, of the hidden layers of the projection head and of the predictions."""
    projection_layers: PositiveInt = 2
    """Number of layers of the projection head."""
    predictor_features: PositiveInt = 512
    """Width of the hidden layer (the bottleneck) of the predictor."""
