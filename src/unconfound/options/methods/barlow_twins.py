"""The options of `barlow-twins`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import NonNegativeFloat
from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class BarlowTwinsOptions(ImageViewOptions, ExpanderOptions):
    """Options of `barlow-twins`."""

    off_diagonal_weight: NonNegativeFloat = 0.0051
    """Weight of the squared correlations between different features in the loss."""
