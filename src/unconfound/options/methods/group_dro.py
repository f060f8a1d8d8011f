"""The options of `group-dro`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GroupDROOptions:
    """Options of `group-dro`."""

    step_size: float = 0.01
    """of the groups' weights: how fast they follow the losses; at least 0"""
    adjustment: float = 0.0
    """added to a group's loss where weights are moved, over the root of its training samples; at least 0"""
    balanced: bool = True
    """draw samples with replacement, so that all groups come equally often"""

    def __post_init__(self) -> None:
        for name in ("step_size", "adjustment"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
