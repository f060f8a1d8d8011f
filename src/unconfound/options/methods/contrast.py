"""The options of `contrast`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ContrastOptions:
    """Of the projection head and of the loss that compares its output."""

    temperature: float = 0.5
    """of the softmax over similarities; above 0"""
    projection_features: int = 128
    """width of the projections that the loss compares"""
    projection_layers: int = 3
    """layers of the projection head"""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        for name in ("projection_features", "projection_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
