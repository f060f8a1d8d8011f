"""The options of views: how a batch becomes two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.suggestions import nearest_name

MixingFunction = Literal["linear", "geometric", "binary"]


@dataclass(frozen=True, kw_only=True)
class ImageViewOptions:
    """Of the random views of images.

    By default W-MSE's and the ICL-MSR protocol's for CIFAR-10, with grayscale at SimCLR's 0.2.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    """share of the image's area that a view shows, lowest and highest"""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """aspect ratio of the cropped area, lowest and highest"""
    flip_probability: float = 0.5
    """probability of a left-right flip"""
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    """strength of the change in brightness, contrast, saturation and hue"""
    jitter_probability: float = 0.8
    """probability of that change"""
    grayscale_probability: float = 0.2
    """probability of a view without colour"""
    blur_probability: float = 0.0
    """probability of a Gaussian blur"""


@dataclass(frozen=True, kw_only=True)
class MetricViewOptions(ImageViewOptions):
    """Of the random view of an image in metric learning: crops and flips, as in "A Metric Learning Reality Check"."""

    augment: bool = True
    """learn from one random view of every image, not from the image itself"""
    crop_scale: tuple[float, float] = (0.16, 1.0)
    """share of the image's area that a view shows, lowest and highest"""
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """strength of the change in brightness, contrast, saturation and hue"""
    grayscale_probability: float = 0.0
    """probability of a view without colour"""


@dataclass(frozen=True, kw_only=True)
class MixingOptions:
    """How samples are mixed. The defaults are the spec's where the paper's slides are silent."""

    functions: tuple[MixingFunction, ...] = ("linear",)
    """linear, geometric, binary; of several, each sample gets one at random, the same for both views (DACL+)"""
    linear_low: float = 0.9
    """lowest share of the sample itself in a linear mix; the highest is 1"""
    geometric_low: float = 0.7
    """lowest share of the sample itself in a geometric mix; the highest is 1"""
    keep: float = 0.9
    """binary: probability that a column or pixel stays the sample's own"""
    floor: float = 1 / 255
    """geometric: smaller values are raised to this; 0 is the paper's formula, in which one 0 makes the product 0"""
    partners: Literal["shift", "independent"] = "shift"
    """shift: partners are the batch, moved by one random step per view; independent: one draw per sample and view"""
    shares: Literal["sample", "batch"] = "sample"
    """one share for each sample and view (the paper), or one for the whole batch and view"""
    exclude_self: bool = True
    """no sample is its own partner (the paper)"""
    mixed_views: Literal[1, 2] = 2
    """2 mixes both views (the paper); 1 leaves the first view as it is"""

    def __post_init__(self) -> None:
        if not self.functions or len(set(self.functions)) < len(self.functions):
            raise ValueError(f"functions must name at least one mixing function, each once, got {self.functions}")
        for function in self.functions:
            if function not in get_args(MixingFunction):
                raise ValueError(
                    f"unknown mixing function {function!r}: {nearest_name(function, get_args(MixingFunction))}"
                )
        for name in ("linear_low", "geometric_low", "keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not self.floor >= 0:
            raise ValueError(f"floor must be at least 0, got {self.floor}")
        for name, known in (("partners", ("shift", "independent")), ("shares", ("sample", "batch"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {getattr(self, name)!r}")
        if self.mixed_views not in (1, 2):
            raise ValueError(f"mixed_views must be 1 or 2, got {self.mixed_views}")


@dataclass(frozen=True, kw_only=True)
class NoiseOptions:
    """How much noise."""

    sigma: float = 0.1
    """standard deviation of the noise; samples lie in [0, 1]"""
    matched: bool = False
    """in place of sigma: the noise moves a sample as far as DACL's linear mix does, on average over the batch"""
    linear_low: float = 0.9
    """matched: lowest share of the sample itself in that mix"""

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma must be above 0, got {self.sigma}")
        if not 0 <= self.linear_low <= 1:
            raise ValueError(f"linear_low must be in [0, 1], got {self.linear_low}")


@dataclass(frozen=True, kw_only=True)
class CorruptionOptions:
    """How much of a row is replaced."""

    corruption_rate: float = 0.6
    """share of a row's columns that is replaced, rounded down to whole columns; above 0 and below 1"""

    def __post_init__(self) -> None:
        if not 0 < self.corruption_rate < 1:
            raise ValueError(f"corruption_rate must be above 0 and below 1, got {self.corruption_rate}")
