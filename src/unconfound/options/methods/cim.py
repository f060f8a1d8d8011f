"""The options of `cim`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.options.methods.bottleneck import BottleneckOptions

Direction = Literal["pull", "literal"]
Similarity = Literal["ms-ssim", "ssim", "l2", "feature"]
Partners = Literal["class", "any"]


@dataclass(frozen=True, kw_only=True)
class CIMOptions(BottleneckOptions):
    """Options of `cim`."""

    direction: Direction = "pull"
    """pull: morphed images come to look like their own class; literal, as the paper prints the loss: like others"""
    weight: float | None = None
    """of the triplet loss beside cross-entropy; by default 1 for pull and 0.1 for literal; 0 leaves it out"""
    similarity: Similarity = "ms-ssim"
    """of images: ms-ssim, ssim (one scale), l2 (squared difference of pixels), or feature (cosine of embeddings)"""
    negative: Literal["relu", "clamp", "shift"] = "shift"
    """what becomes of a negative term of MS-SSIM: relu and clamp have no gradient there, shift takes (1 + c) / 2"""
    positives: int = 1
    """images of the anchor's class that it is compared with"""
    negatives: int = 1
    """images of other classes that it is compared with"""
    partners: Partners = "class"
    """images that partners are drawn from: class, as labels say; or any, without labels, as a control"""
    mask_channels: Literal["one", "all"] = "one"
    """one weight a pixel, or one for each of its channels"""
    reduction: int = 1
    """1, or 2 or 4 to let the morpher look at images of a half or a quarter of the side, which is faster"""
    detach_supervision: bool = False
    """let the triplet loss alone train the morpher, as the paper's formula may be read, and not cross-entropy, too"""
    morpher_learning_rate: float | None = None
    """highest learning rate of the morpher; by default that of all"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight is not None and not self.weight >= 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}")
        for name in ("positives", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, kind in (("direction", Direction), ("similarity", Similarity), ("partners", Partners)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}")
        if self.morpher_learning_rate is not None and not self.morpher_learning_rate > 0:
            raise ValueError(f"morpher_learning_rate must be above 0, got {self.morpher_learning_rate}")
