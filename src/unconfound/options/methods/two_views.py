"""The options of the methods that compare two views of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Share,
    ShareBelowOne,
    at_least,
)
from unconfound.options.views import CorruptionOptions, ImageViewOptions, MixingOptions, NoiseOptions


@dataclass(frozen=True, kw_only=True)
class ProjectionOptions(Checked):
    """Options of the projection head, whose output the loss compares."""

    projection_features: PositiveInt = 128
    """Width of the projections that the loss compares."""
    projection_layers: PositiveInt = 2
    """Number of layers of the projection head."""


@dataclass(frozen=True, kw_only=True)
class ContrastOptions(ProjectionOptions):
    """Options of a loss that contrasts projections."""

    temperature: PositiveFloat = 0.5
    """Temperature of the softmax over similarities."""


@dataclass(frozen=True, kw_only=True)
class ExpanderOptions(ProjectionOptions):
    """Options of a projection head that is wider than the embedding."""

    projection_features: PositiveInt = 512
    hidden_features: PositiveInt = 512
    """Width of the hidden layers of the projection head."""
    projection_layers: PositiveInt = 3


@dataclass(frozen=True, kw_only=True)
class TargetOptions(Checked):
    """Options of a target network, a moving average of the trained one."""

    momentum: Share = 0.99
    """Initial momentum of the target network, a moving average of the trained one; it rises to 1 along half a
    cosine."""


@dataclass(frozen=True, kw_only=True)
class SimCLROptions(ImageViewOptions, ContrastOptions):
    """Options of `simclr`."""


@dataclass(frozen=True, kw_only=True)
class ContraCAMOptions(SimCLROptions):
    """Options of `contracam`."""

    localization_epochs: PositiveInt = 20
    """Number of epochs, out of all epochs, to train the first model, which finds what is salient in an image."""
    mixed_share: Share = 0.4
    """Share of the first views whose background is that of another image."""
    iterations: PositiveInt = 1
    """Number of times that what is salient is looked for in an image, each time without what was found before."""
    crops: Literal["any", "object"] = "any"
    """Crop views from any part of an image, or from the box around what is salient (object)."""


@dataclass(frozen=True, kw_only=True)
class SimCLRDACLOptions(MixingOptions, SimCLROptions):
    """Options of `simclr+dacl`: those of simclr and those of mixing."""


@dataclass(frozen=True, kw_only=True)
class MoCoOptions(ImageViewOptions, ContrastOptions):
    """Options of `moco`."""

    temperature: PositiveFloat = 0.2
    symmetric: bool = False
    """Use the form of MoCo v3: a loss in both directions, a predictor, and the batch in place of the queue."""
    queue: PositiveInt = 4096
    """Number of earlier keys that serve as negatives; ignored with --symmetric."""
    momentum: Share | None = None
    """Momentum of the target network; by default 0.999, or with --symmetric 0.99, which rises to 1 along half a
    cosine."""
    predictor_features: PositiveInt = 1024
    """Width of the hidden layer of the predictor; only used with --symmetric."""


@dataclass(frozen=True, kw_only=True)
class ReSSLOptions(ImageViewOptions, ContrastOptions):
    """Options of `ressl`."""

    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over the similarities of the strongly augmented view."""
    target_temperature: PositiveFloat = 0.04
    """Temperature of the softmax over the similarities of the weakly augmented view; best below --temperature."""
    queue: PositiveInt = 4096
    """Number of earlier samples that both views are compared with."""
    momentum: Share = 0.99
    """Momentum of the target network, a moving average of the trained one."""


@dataclass(frozen=True, kw_only=True)
class RELICOptions(ImageViewOptions, ContrastOptions, TargetOptions):
    """Options of `relic`."""

    invariance_weight: NonNegativeFloat = 1.0
    """Weight of the divergence between the distributions of the two views in the loss."""


@dataclass(frozen=True, kw_only=True)
class LargeMarginOptions(ImageViewOptions, ContrastOptions):
    """Options of `large-margin`."""

    margin: NonNegativeFloat = 0.1
    """Margin that is subtracted from the cosine similarity of the two views of an image; a margin of 0 is simclr."""


@dataclass(frozen=True, kw_only=True)
class DACLOptions(MixingOptions, ContrastOptions):
    """Options of `dacl`."""

    projection_layers: PositiveInt = 3
    mix: Literal["auto", "input", "representation"] = "auto"
    """Mix the input or the encoder's output (representation); auto mixes the input of images and tables, and the output
    for other data."""


@dataclass(frozen=True, kw_only=True)
class GaussianOptions(NoiseOptions, ContrastOptions):
    """Options of `gaussian`."""

    projection_layers: PositiveInt = 3
    noise_at: Literal["auto", "input", "representation"] = "auto"
    """Add noise to the input or to the encoder's output (representation); auto adds it to the input of images and
    tables, and to the output for other data."""


@dataclass(frozen=True, kw_only=True)
class SCARFOptions(CorruptionOptions, ContrastOptions):
    """Options of `scarf`; the defaults are the paper's."""

    temperature: PositiveFloat = 1.0
    projection_features: PositiveInt = 256


@dataclass(frozen=True, kw_only=True)
class BYOLOptions(ImageViewOptions, TargetOptions):
    """Options of `byol`."""

    projection_features: PositiveInt = 128
    """Width of the projections and of their predictions."""
    hidden_features: PositiveInt = 1024
    """Width of the hidden layers of the projection head and of the predictor."""


@dataclass(frozen=True, kw_only=True)
class SimSiamOptions(ImageViewOptions, ProjectionOptions):
    """Options of `simsiam`."""

    projection_features: PositiveInt = 2048
    """Width of the projections, of the hidden layers of the projection head and of the predictions."""
    predictor_features: PositiveInt = 512
    """Width of the hidden layer (the bottleneck) of the predictor."""


@dataclass(frozen=True, kw_only=True)
class SSLHSICOptions(ImageViewOptions, ProjectionOptions, TargetOptions):
    """Options of `ssl-hsic`."""

    kernel: Literal["multiquadric", "gaussian"] = "multiquadric"
    """Kernel that compares projections: the inverse multiquadric or the Gaussian kernel."""
    kernel_scale: PositiveFloat = 1.0
    """Length scale of the kernel, in units of the distance between projections of unit length."""
    variance_weight: NonNegativeFloat = 3.0
    """Weight of the square root of HSIC(Z, Z) in the loss."""
    unbiased: bool = False
    """Use unbiased estimates of both terms of the loss instead of the paper's biased ones."""


@dataclass(frozen=True, kw_only=True)
class BarlowTwinsOptions(ImageViewOptions, ExpanderOptions):
    """Options of `barlow-twins`."""

    off_diagonal_weight: NonNegativeFloat = 0.0051
    """Weight of the squared correlations between different features in the loss."""


@dataclass(frozen=True, kw_only=True)
class VICRegOptions(ImageViewOptions, ExpanderOptions):
    """Options of `vicreg`."""

    invariance: NonNegativeFloat = 25.0
    """Weight of the squared difference between the two views."""
    variance: NonNegativeFloat = 25.0
    """Weight of the hinge loss that keeps the standard deviation of every feature at 1 or above."""
    covariance: NonNegativeFloat = 1.0
    """Weight of the squared covariances between features."""


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
