"""The options of `barlow-twins`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class BarlowTwinsOptions(ImageViewOptions, ExpanderOptions):
    """Options of `barlow-twins`."""

    off_diagonal_weight: float = 0.0051
    """of the squared correlations between different features; 0 or above"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.off_diagonal_weight >= 0:
            raise ValueError(f"off_diagonal_weight must be at least 0, got {self.off_diagonal_weight}")
