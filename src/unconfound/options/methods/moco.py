"""The options of `moco`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class MoCoOptions(ImageViewOptions, ContrastOptions):
    """Options of `moco`."""

    temperature: float = 0.2
    """of the softmax over similarities; above 0"""
    projection_layers: int = 2
    """layers of the projection head"""
    symmetric: bool = False
    """MoCo v3's form: both directions, a predictor, and the batch in place of the queue"""
    queue: int = 4096
    """earlier keys that are the negatives; without a use where symmetric"""
    momentum: float | None = None
    """of the target network, 0 to 1; by default 0.999, where symmetric 0.99, which rises to 1 along half a cosine"""
    predictor_features: int = 1024
    """width of the predictor's hidden layer; without a use where not symmetric"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("queue", "predictor_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.momentum is not None and not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")
