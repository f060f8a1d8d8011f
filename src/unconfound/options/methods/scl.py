"""The options of `scl`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SCLOptions:
    """Options of `scl`."""

    contrast_weight: float = 1.0
    """of the contrastive loss beside the cross-entropy; at least 0"""
    temperature: float = 0.1
    """of the softmax over similarities; above 0"""
    projection_features: int = 128
    """width of the projections that are contrasted"""
    augment: bool = False
    """train on two augmented views of every image (SimCLR's), each a positive of the other, not on the image itself"""

    def __post_init__(self) -> None:
        if not self.contrast_weight >= 0:
            raise ValueError(f"contrast_weight must be at least 0, got {self.contrast_weight}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.projection_features < 1:
            raise ValueError(f"projection_features must be at least 1, got {self.projection_features}")
