"""The options of `ssl-hsic`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SSLHSICOptions(ImageViewOptions):
    """Options of `ssl-hsic`."""

    kernel: Literal["multiquadric", "gaussian"] = "multiquadric"
    """that compares projections: the inverse multiquadric one, or the Gaussian"""
    kernel_scale: float = 1.0
    """distance at which it falls off, of projections of unit length; above 0"""
    variance_weight: float = 3.0
    """of the root of HSIC(Z, Z); 0 or above"""
    unbiased: bool = False
    """estimate both terms without bias, in place of the paper's estimates"""
    projection_features: int = 128
    """width of the projections that the loss compares"""
    projection_layers: int = 2
    """layers of the projection head"""
    momentum: float = 0.99
    """of the target network, which follows the other; 0 to 1, rising from here to 1 along half a cosine"""

    def __post_init__(self) -> None:
        for name in ("projection_features", "projection_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.kernel not in ("multiquadric", "gaussian"):
            raise ValueError(f"kernel must be multiquadric or gaussian, got {self.kernel!r}")
        if not self.kernel_scale > 0:
            raise ValueError(f"kernel_scale must be above 0, got {self.kernel_scale}")
        if not self.variance_weight >= 0:
            raise ValueError(f"variance_weight must be 0 or above, got {self.variance_weight}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")
