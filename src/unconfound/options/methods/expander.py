"""The options of `expander`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExpanderOptions:
    """Of the head whose output the loss compares."""

    projection_features: int = 512
    """width of the projections that the loss compares"""
    hidden_features: int = 512
    """width of the head's layers before the last"""
    projection_layers: int = 3
    """layers of the head"""

    def __post_init__(self) -> None:
        for name in ("projection_features", "hidden_features", "projection_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
