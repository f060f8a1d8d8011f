"""The options of `ssl-hsic`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import NonNegativeFloat, PositiveFloat, PositiveInt, Share
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SSLHSICOptions(ImageViewOptions):
    """Options of `ssl-hsic`."""

    kernel: Literal["multiquadric", "gaussian"] = "multiquadric"
    """Kernel that compares projections: the inverse multiquadric or the Gaussian kernel."""
    kernel_scale: PositiveFloat = 1.0
    """Length scale of the kernel, in units of the distance between projections of unit length."""
    variance_weight: NonNegativeFloat = 3.0
    """Weight of the square root of HSIC(Z, Z) in the loss."""
    unbiased: bool = False
    """Use unbiased estimates of both terms of the loss instead of the paper's biased ones."""
    projection_features: PositiveInt = 128
    """Width of the projections that the loss compares."""
    projection_layers: PositiveInt = 2
    """Number of layers of the projection head."""
    momentum: Share = 0.99
    """Initial momentum of the target network, a moving average of the trained one; it rises to 1 along half a
    cosine."""
