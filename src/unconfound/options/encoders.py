"""Which encoder, as flags and recipe keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Pooling = Literal["mean", "flatten"]

# Options that are of one encoder, and mean something else for the next, or nothing.
SIZES = ("width", "depth", "pooling")


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """What is trained and kept."""

    encoder: str = "auto"
    """convnet, resnet18, resnet34, resnet50 or any timm model for images; mlp for tables; gin for graphs; transformer
    or gru for text and series; auto is resnet18, mlp, gin, transformer"""
    pretrained: bool = False
    """start from published ImageNet weights (resnet and timm; downloads them where they are not cached)"""
    weights: Path | None = None
    """start from the weights in this .safetensors file, named as timm or torchvision name them (resnet and timm)"""
    width: int | None = None
    """channels of a convnet's first layer (32); width of all layers of mlp (256), gin (512), transformer, gru (128)"""
    depth: int | None = None
    """number of layers of convnet (4), mlp (3), gin (4), transformer (2) and gru (1)"""
    pooling: Pooling | None = None
    """of convnet: mean over all places, the default, or flatten, which keeps where on the image something is"""
