"""The options of `swav`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SwAVOptions(ImageViewOptions, ContrastOptions):
    """Options of `swav`."""

    temperature: float = 0.1
    """of the softmax over similarities to prototypes; above 0"""
    projection_layers: int = 2
    """layers of the projection head"""
    prototypes: int = 300
    """that samples are assigned to; best no more than samples in a batch"""
    smoothing: float = 0.05
    """how soft the assignments are; above 0"""
    iterations: int = 3
    """of Sinkhorn and Knopp's scaling, which gives all prototypes an equal share"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prototypes < 2:
            raise ValueError(f"prototypes must be at least 2, got {self.prototypes}")
        if not self.smoothing > 0:
            raise ValueError(f"smoothing must be above 0, got {self.smoothing}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")
