"""The options of `supervised`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import ShareBelowOne
from unconfound.options.methods.bottleneck import BottleneckOptions

Balance = Literal["none", "classes", "groups"]


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions(BottleneckOptions):
    """Options of `supervised`."""

    augment: bool = False
    """Train on two augmented views (SimCLR's) of every image instead of the image itself."""
    label_smoothing: ShareBelowOne = 0.0
    """Share of the target probability that is spread evenly over all classes."""
    balance: Balance = "none"
    """Draw samples with replacement, so that all classes, or all groups (which must be known), are equally frequent."""
