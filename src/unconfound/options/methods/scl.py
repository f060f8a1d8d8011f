"""The options of `scl`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, NonNegativeFloat, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class SCLOptions(Checked):
    """Options of `scl`."""

    contrast_weight: NonNegativeFloat = 1.0
    """Weight of the supervised contrastive loss relative to the cross-entropy."""
    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over similarities."""
    projection_features: PositiveInt = 128
    """Width of the projections that the contrastive loss compares."""
    augment: bool = False
    """Train on two augmented views (SimCLR's) of every image, which are positives of each other, instead of the image
    itself."""
