"""The options of `large-margin`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import NonNegativeFloat, PositiveInt
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class LargeMarginOptions(ImageViewOptions, ContrastOptions):
    """Options of `large-margin`."""

    projection_layers: PositiveInt = 2
    margin: NonNegativeFloat = 0.1
    """Margin that is subtracted from the cosine similarity of the two views of an image; a margin of 0 is simclr."""
