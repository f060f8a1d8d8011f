"""Which encoder, as flags and recipe keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """What is trained and kept."""

    encoder: str = "auto"
    """convnet, resnet18, resnet34, resnet50, mlp, or any timm model; auto is resnet18 for images, mlp for tables"""
    pretrained: bool = False
    """start from published ImageNet weights (resnet and timm; downloads them where they are not cached)"""
    width: int | None = None
    """convnet: channels of the first layer (32); mlp: width of every layer (256)"""
    depth: int | None = None
    """convnet and mlp: number of layers (4 and 3)"""
