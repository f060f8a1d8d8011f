"""The options of `ressl`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class ReSSLOptions(ImageViewOptions, ContrastOptions):
    """Options of `ressl`."""

    temperature: float = 0.1
    """of the softmax over the strong view's similarities; above 0"""
    target_temperature: float = 0.04
    """of the softmax over the weak view's similarities; above 0, and best below the temperature"""
    projection_layers: int = 2
    """layers of the projection head"""
    queue: int = 4096
    """earlier samples that both views are related to"""
    momentum: float = 0.99
    """of the target network, which follows the other; 0 to 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target_temperature > 0:
            raise ValueError(f"target_temperature must be above 0, got {self.target_temperature}")
        if self.queue < 1:
            raise ValueError(f"queue must be at least 1, got {self.queue}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")
