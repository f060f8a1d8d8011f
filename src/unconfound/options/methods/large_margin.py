"""The options of `large-margin`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class LargeMarginOptions(ImageViewOptions, ContrastOptions):
    """Options of `large-margin`."""

    projection_layers: int = 2
    """layers of the projection head"""
    margin: float = 0.1
    """taken off the cosine similarity of two views of an image; 0 (simclr) or above"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.margin >= 0:
            raise ValueError(f"margin must be at least 0, got {self.margin}")
