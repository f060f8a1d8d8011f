"""The options of `relic`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class RELICOptions(ImageViewOptions, ContrastOptions):
    """Options of `relic`."""

    projection_layers: int = 2
    """layers of the projection head"""
    invariance_weight: float = 1.0
    """of the divergence between the two views' distributions; 0 or above"""
    momentum: float = 0.99
    """of the target network, which follows the other; 0 to 1, rising from here to 1 along half a cosine"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.invariance_weight >= 0:
            raise ValueError(f"invariance_weight must be 0 or above, got {self.invariance_weight}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")
