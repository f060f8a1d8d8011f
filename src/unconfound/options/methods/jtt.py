"""The options of `jtt`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class JTTOptions:
    """Options of `jtt`."""

    identification_epochs: int = 1
    """epochs, of all, that the first model is trained, whose errors count more later; at least 1"""
    upweight: float = 20.0
    """how many times as often as others an error of the first model is drawn; at least 1"""

    def __post_init__(self) -> None:
        for name in ("identification_epochs", "upweight"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
