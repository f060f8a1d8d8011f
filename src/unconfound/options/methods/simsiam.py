"""The options of `simsiam`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SimSiamOptions(ImageViewOptions):
    """Options of `simsiam`."""

    projection_features: int = 2048
    """width of the projections, of the head's hidden layers and of the predictions"""
    projection_layers: int = 2
    """layers of the projection head"""
    predictor_features: int = 512
    """width of the predictor's hidden layer, its bottleneck"""

    def __post_init__(self) -> None:
        for name in ("projection_features", "projection_layers", "predictor_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
