"""The options of `w-mse`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class WMSEOptions(ImageViewOptions, ExpanderOptions):
    """Options of `w-mse`."""

    projection_features: int = 64
    """width of the projections that are whitened and compared"""
    hidden_features: int = 1024
    """width of the head's layers before the last"""
    projection_layers: int = 2
    """layers of the head"""
    sub_batch_size: int = 128
    """images that are whitened at a time, at least; twice the width of the projections or more"""
    iterations: int = 1
    """times that the batch is cut into sub-batches and whitened; at least 1"""
    shrinkage: float = 1e-4
    """share of the identity in the covariance, from 0 (as published) to below 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("sub_batch_size", 2), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.shrinkage < 1:
            raise ValueError(f"shrinkage must be from 0 to below 1, got {self.shrinkage}")
        if self.shrinkage == 0 and self.sub_batch_size <= self.projection_features:
            raise ValueError(
                f"without shrinkage sub_batch_size must be above projection_features, {self.projection_features}, "
                f"got {self.sub_batch_size}"
            )
