"""The options of `vicreg`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import NonNegativeFloat
from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class VICRegOptions(ImageViewOptions, ExpanderOptions):
    """Options of `vicreg`."""

    invariance: NonNegativeFloat = 25.0
    """Weight of the squared difference between the two views."""
    variance: NonNegativeFloat = 25.0
    """Weight of the hinge loss that keeps the standard deviation of every feature at 1 or above."""
    covariance: NonNegativeFloat = 1.0
    """Weight of the squared covariances between features."""
