"""The options of `moco`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveFloat, PositiveInt, Share
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class MoCoOptions(ImageViewOptions, ContrastOptions):
    """Options of `moco`."""

    temperature: PositiveFloat = 0.2
    projection_layers: PositiveInt = 2
    symmetric: bool = False
    """Use the form of MoCo v3: a loss in both directions, a predictor, and the batch in place of the queue."""
    queue: PositiveInt = 4096
    """Number of earlier keys that serve as negatives; ignored with --symmetric."""
    momentum: Share | None = None
    """Momentum of the target network; by default 0.999, or with --symmetric 0.99, which rises to 1 along half a
    cosine."""
    predictor_features: PositiveInt = 1024
    """Width of the hidden layer of the predictor; only used with --symmetric."""
