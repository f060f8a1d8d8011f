"""The options of `swav`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from unconfound.options.constraints import PositiveFloat, PositiveInt, at_least
from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import ImageViewOptions


@dataclass(frozen=True, kw_only=True)
class SwAVOptions(ImageViewOptions, ContrastOptions):
    """Options of `swav`."""

    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over similarities to the prototypes."""
    projection_layers: PositiveInt = 2
    prototypes: Annotated[int, at_least(2)] = 300
    """Number of prototypes that samples are assigned to; best not more than there are samples in a batch."""
    smoothing: PositiveFloat = 0.05
    """Entropy regularisation of the assignments; larger values make them softer."""
    iterations: PositiveInt = 3
    """Number of Sinkhorn-Knopp iterations, which give all prototypes an equal share of the samples."""
