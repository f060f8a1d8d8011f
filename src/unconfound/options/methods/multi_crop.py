"""The options of the methods that compare two views of an image and, if wanted, small crops of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    at_least,
)
from unconfound.options.methods.two_views import ContrastOptions, ExpanderOptions, ProjectionOptions, TargetOptions
from unconfound.options.views import AreaShare, MultiCropOptions


@dataclass(frozen=True, kw_only=True)
class SwAVOptions(MultiCropOptions, ContrastOptions):
    """Options of `swav`."""

    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over similarities to the prototypes."""
    prototypes: Annotated[int, at_least(2)] = 300
    """Number of prototypes that samples are assigned to; best not more than there are samples in a batch."""
    smoothing: PositiveFloat = 0.05
    """Entropy regularisation of the assignments; larger values make them softer."""
    iterations: PositiveInt = 3
    """Number of Sinkhorn-Knopp iterations, which give all prototypes an equal share of the samples."""


@dataclass(frozen=True, kw_only=True)
class LeJEPAOptions(MultiCropOptions, ExpanderOptions):
    """Options of `lejepa`."""

    crop_scale: tuple[float, float] = (0.3, 1.0)
    local_scale: tuple[AreaShare, AreaShare] = (0.05, 0.3)
    local_crops: NonNegativeInt = 8
    projection_features: PositiveInt = 64
    trade_off: Share = 0.05
    """Share of SIGReg in the loss, which keeps projections apart; the rest is that of the prediction."""
    predicted: Literal["global", "all"] = "global"
    """Views whose mean every view predicts: the two global ones, or all of them."""
    slices: PositiveInt = 256
    """Number of random directions along which the projections are compared with a normal distribution; they are drawn
    anew for each update."""
    points: Annotated[int, at_least(3)] = 17
    """Number of points, odd, at which characteristic functions are compared."""
    integration_limit: PositiveFloat = 5.0
    """Largest of these points; the lowest is its negative."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points % 2 == 0:
            raise ValueError(f"points must be odd, so that 0 is one of them, got {self.points}")


@dataclass(frozen=True, kw_only=True)
class DINOOptions(MultiCropOptions, ProjectionOptions, TargetOptions):
    """Options of `dino`."""

    crop_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[AreaShare, AreaShare] = (0.05, 0.4)
    local_crops: NonNegativeInt = 8
    momentum: Share = 0.996
    projection_layers: PositiveInt = 3
    hidden_features: PositiveInt = 512
    """Width of the hidden layers of the projection head."""
    prototypes: Annotated[int, at_least(2)] = 1024
    """Number of prototypes, which projections are compared with."""
    temperature: PositiveFloat = 0.1
    """Temperature of the student's softmax over similarities to the prototypes."""
    first_target_temperature: PositiveFloat = 0.04
    """Temperature of the teacher's softmax in the first epoch; the lower, the sharper are its assignments."""
    target_temperature: PositiveFloat = 0.07
    """Temperature of the teacher's softmax after --temperature-epochs."""
    temperature_epochs: NonNegativeInt = 30
    """Number of epochs in which the teacher's temperature goes from the first one to the last."""
    centring: Literal["mean", "sinkhorn"] = "mean"
    """Keep the teacher from assigning all images to one prototype by a moving average of its outputs (mean), or by
    Sinkhorn-Knopp, which gives all prototypes an equal share of the batch (as in DINOv2)."""
    centre_momentum: Share = 0.9
    """Decay per update of that moving average; only used with --centring mean."""
    iterations: PositiveInt = 3
    """Number of Sinkhorn-Knopp iterations; only used with --centring sinkhorn."""
    frozen_epochs: NonNegativeInt = 1
    """Number of epochs, from the start, in which the prototypes stand still."""
    koleo_weight: NonNegativeFloat = 0.0
    """Weight of the KoLeo term, which pushes each embedding away from its nearest one in the batch; 0.1 in DINOv2."""
