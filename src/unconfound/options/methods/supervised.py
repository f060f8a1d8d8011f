"""The options of `supervised`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.options.methods.bottleneck import BottleneckOptions
from unconfound.suggestions import nearest_name

Balance = Literal["none", "classes", "groups"]


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions(BottleneckOptions):
    """Options of `supervised`."""

    augment: bool = False
    """train on two augmented views of every image (SimCLR's) instead of the image itself"""
    label_smoothing: float = 0.0
    """share of the target spread over all classes, in [0, 1)"""
    balance: Balance = "none"
    """classes or groups: draw samples with replacement, so that these come equally often; groups must be known"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")
        if self.balance not in get_args(Balance):
            raise ValueError(f"unknown balance {self.balance!r}: {nearest_name(self.balance, get_args(Balance))}")
