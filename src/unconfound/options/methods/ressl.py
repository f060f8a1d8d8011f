"""The options of `ressl`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import PositiveFloat, PositiveInt, Share
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class ReSSLOptions(ImageViewOptions, ContrastOptions):
    """Options of `ressl`."""

    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over the similarities of the strongly augmented view."""
    target_temperature: PositiveFloat = 0.04
    """Temperature of the softmax over the similarities of the weakly augmented view; best below --temperature."""
    projection_layers: PositiveInt = 2
    queue: PositiveInt = 4096
    """Number of earlier samples that both views are compared with."""
    momentum: Share = 0.99
    """Momentum of the target network, a moving average of the trained one."""
