"""The options of `cim`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne, within
from unconfound.options.methods.classifying import BottleneckOptions

Direction = Literal["pull", "literal"]
Similarity = Literal["ms-ssim", "ssim", "l2", "feature"]
Partners = Literal["class", "exchanged", "any"]


@dataclass(frozen=True, kw_only=True)
class CIMOptions(BottleneckOptions):
    """Options of `cim`."""

    direction: Direction = "pull"
    """Sign of the triplet loss: pull makes a morphed image similar to images of its own class, literal (the loss as the
    paper prints it) to images of other classes."""
    weight: NonNegativeFloat | None = None
    """Weight of the triplet loss relative to the cross-entropy; by default 1 for pull and 0.1 for literal. A weight of
    0 leaves the triplet loss out."""
    similarity: Similarity = "ms-ssim"
    """Similarity of two images: ms-ssim, ssim (at one scale), l2 (squared difference of pixels) or feature (cosine of
    embeddings)."""
    negative: Literal["relu", "clamp", "shift"] = "shift"
    """Treatment of negative terms of MS-SSIM: relu and clamp have no gradient there; shift replaces each term c by (1 +
    c) / 2."""
    positives: PositiveInt = 1
    """Number of images of the same class that each image is compared with."""
    negatives: PositiveInt = 1
    """Number of images of other classes that each image is compared with."""
    partners: Partners = "class"
    """Choice of the images to compare with: by class labels; exchanged, which needs masks of the foregrounds, takes the
    image's foreground on another background and the foreground of another class on the image's background; any takes
    images regardless of labels, as a control."""
    mask_channels: Literal["one", "all"] = "one"
    """Use one mask weight per pixel, or one per pixel and channel."""
    lowest_mask: ShareBelowOne = 0.0
    """Lowest value of the mask; 0 allows the morphing network to hide a pixel completely."""
    first_mask: Annotated[float, within(0, 1, closed="neither")] | None = None
    """Value of the mask before training, above --lowest-mask; by default at 92 % of the range."""
    mask_weight: NonNegativeFloat = 0.0
    """Weight of a loss by which the morphing network learns masks of the foregrounds, which the training data must
    have; it is not part of the paper."""
    reduction: Literal[1, 2, 4] = 1
    """Factor by which images are downscaled for the morphing network; larger is faster."""
    detach_supervision: bool = False
    """Train the morphing network by the triplet loss alone, which is one reading of the paper's formula, instead of by
    the cross-entropy as well."""
    morpher_learning_rate: PositiveFloat | None = None
    """Peak learning rate of the morphing network; by default that of the other parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_mask is not None and self.first_mask <= self.lowest_mask:
            raise ValueError(
                f"first_mask {self.first_mask:g} must be above lowest_mask {self.lowest_mask:g}: raise the first, or "
                "lower the second"
            )
