"""The options of `byol`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class BYOLOptions(ImageViewOptions):
    """Options of `byol`."""

    projection_features: int = 128
    """width of the projections and of their predictions"""
    hidden_features: int = 1024
    """width of the hidden layer of the head and of the predictor"""
    momentum: float = 0.99
    """of the target network, which follows the other; 0 to 1, rising from here to 1 along half a cosine"""

    def __post_init__(self) -> None:
        for name in ("projection_features", "hidden_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")
