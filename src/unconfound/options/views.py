"""The options of views: how a batch becomes two views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    within,
)

# Of an image's area, what a crop shows.
AreaShare = Annotated[float, within(0, 1, closed="right")]
MixingFunction = Literal["linear", "geometric", "binary"]


@dataclass(frozen=True, kw_only=True)
class ImageViewOptions(Checked):
    """Options of the random views of images.

    The defaults are those of W-MSE and the ICL-MSR protocol for CIFAR-10, with SimCLR's probability of grayscale, 0.2.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    """Lowest and highest share of the image's area that a view shows."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Lowest and highest aspect ratio of the cropped area."""
    flip_probability: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    """Strength of the random change in brightness, contrast, saturation and hue."""
    jitter_probability: Share = 0.8
    """Probability of a random change in colour, of the strength that --jitter gives."""
    grayscale_probability: Share = 0.2
    """Probability of a grayscale view."""
    blur_probability: Share = 0.0
    """Probability of a Gaussian blur."""


@dataclass(frozen=True, kw_only=True)
class MultiCropOptions(ImageViewOptions):
    """Options of the random views of images, and of further, small ones (multi-crop).

    SwAV's: 3/7 of the side is its 96 of 224 pixels.
    """

    local_crops: NonNegativeInt = 0
    """Number of further, small views of each image (multi-crop); all their other options are those of the two views."""
    local_size: PositiveInt | None = None
    """Side of the small views in pixels; by default 3/7 of the image's shorter side."""
    local_scale: tuple[AreaShare, AreaShare] = (0.05, 0.14)
    """Lowest and highest share of the image's area that a small view shows."""


@dataclass(frozen=True, kw_only=True)
class ForegroundViewOptions(Checked):
    """Options of random views of foregrounds on the backgrounds of other images."""

    jitter: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, Annotated[float, within(0, 0.5)]] = (
        0.2,
        0.2,
        0.4,
        0.5,
    )
    """Strength of the random change in brightness, contrast, saturation and hue of the foreground, the last at most
    0.5."""
    turn: Annotated[float, within(0, 180)] = 15.0
    """Largest angle in degrees by which the foreground is turned, to either side."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.85, 1.15)
    """Lowest and highest factor by which the side of the foreground is multiplied."""
    shear: NonNegativeFloat = 0.15
    """Largest shift of a row of the foreground, as a share of its distance from the centre."""
    shift: Share = 0.25
    """Largest distance of the foreground's centre from that of the view, across and down, in half sides of the view."""
    rim: NonNegativeInt = 0
    """Largest number of pixels by which a mask is widened or narrowed at random; use it where masks are not exact."""
    soft_edge: NonNegativeFloat = 0.0
    """Largest half width in pixels of the band over which a foreground fades into its new background."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is {self.scale}: it must be (lowest, highest)")


@dataclass(frozen=True, kw_only=True)
class MetricViewOptions(ImageViewOptions):
    """Options of the random crops and flips of metric learning, as in "A Metric Learning Reality Check"."""

    augment: bool = True
    """Train on one random view of every image instead of the image itself."""
    crop_scale: tuple[float, float] = (0.16, 1.0)
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    grayscale_probability: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class MixingOptions(Checked):
    """Options of mixing samples. Where the paper's slides are silent, the defaults are those of its specification."""

    functions: tuple[MixingFunction, ...] = ("linear",)
    """Mixing functions: linear, geometric or binary. With several, each sample gets one at random, the same for both
    views (DACL+)."""
    linear_low: Share = 0.9
    """Lowest share of the sample itself in a linear mix; the highest is 1."""
    geometric_low: Share = 0.7
    """Lowest share of the sample itself in a geometric mix; the highest is 1."""
    keep: Share = 0.9
    """Probability that a column or pixel keeps the sample's own value in a binary mix."""
    floor: NonNegativeFloat = 1 / 255
    """Value that smaller ones are raised to before a geometric mix; 0 is the paper's formula, in which a single 0 makes
    the product 0."""
    partners: Literal["shift", "independent"] = "shift"
    """Choice of the samples to mix with: shift moves the batch by one random step per view, independent draws a partner
    for each sample and view."""
    shares: Literal["sample", "batch"] = "sample"
    """Draw one mixing share per sample and view (as in the paper), or one per batch and view."""
    exclude_self: bool = True
    """Never mix a sample with itself (as in the paper)."""
    mixed_views: Literal[1, 2] = 2
    """Mix both views (2, as in the paper), or leave the first view unchanged (1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.functions or len(set(self.functions)) < len(self.functions):
            raise ValueError(f"functions must name at least one mixing function, each once, got {self.functions}")


@dataclass(frozen=True, kw_only=True)
class NoiseOptions(Checked):
    """Options of Gaussian noise."""

    sigma: PositiveFloat = 0.1
    """Standard deviation of the noise, for samples in [0, 1]."""
    matched: bool = False
    """Ignore --sigma and scale the noise to move a sample as far as DACL's linear mix does, on average over the
    batch."""
    linear_low: Share = 0.9
    """Lowest share of the sample itself in that linear mix; only used with --matched."""


@dataclass(frozen=True, kw_only=True)
class CorruptionOptions(Checked):
    """Options of replacing features of a row by those of other rows."""

    corruption_rate: Annotated[float, within(0, 1, closed="neither")] = 0.6
    """Share of a row's columns that is replaced, rounded down to a whole number of columns."""
