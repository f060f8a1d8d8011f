"""The options of `w-mse`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from unconfound.options.constraints import PositiveInt, ShareBelowOne, at_least
from unconfound.options.methods.expander import ExpanderOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class WMSEOptions(ImageViewOptions, ExpanderOptions):
    """Options of `w-mse`."""

    projection_features: PositiveInt = 64
    """Width of the projections that are whitened and compared."""
    hidden_features: PositiveInt = 1024
    projection_layers: PositiveInt = 2
    sub_batch_size: Annotated[int, at_least(2)] = 128
    """Minimum number of images that are whitened together; best at least twice the width of the projections."""
    iterations: PositiveInt = 1
    """Number of times that the batch is divided into sub-batches and whitened."""
    shrinkage: ShareBelowOne = 1e-4
    """Share of the identity matrix that is blended into the covariance; the published code uses 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shrinkage == 0 and self.sub_batch_size <= self.projection_features:
            raise ValueError(
                f"without shrinkage sub_batch_size must be above projection_features, {self.projection_features}, "
                f"got {self.sub_batch_size}"
            )
