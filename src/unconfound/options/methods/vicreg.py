"""The options of `vicreg`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class VICRegOptions(ImageViewOptions, ExpanderOptions):
    """Options of `vicreg`."""

    invariance: float = 25.0
    """weight of the squared difference of the two views; 0 or above"""
    variance: float = 25.0
    """weight of what features lack of a deviation of 1; 0 or above"""
    covariance: float = 1.0
    """weight of the squared covariances between features; 0 or above"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("invariance", "variance", "covariance"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
