"""Which encoder, as flags and recipe keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unconfound.options.constraints import Checked, PositiveInt

Pooling = Literal["mean", "flatten"]

# Options that are of one encoder, and mean something else for the next, or nothing.
SIZES = ("width", "depth", "pooling")


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(Checked):
    """The network that is trained and saved."""

    encoder: str = "auto"
    """Encoder: convnet, resnet18, resnet34, resnet50 or any timm model for images; mlp for tables; gin for graphs;
    transformer or gru for texts and time series. With auto: resnet18, mlp, gin or transformer."""
    pretrained: bool = False
    """Start from published ImageNet weights (ResNets and timm models only), which are downloaded unless they are
    cached."""
    weights: Path | None = None
    """Start from the weights in this .safetensors file, with the parameter names of timm or torchvision (ResNets and
    timm models only)."""
    width: PositiveInt | None = None
    """Width of the encoder: channels of the first layer of a convnet (by default 32), or features of every layer of mlp
    (256), gin (512), transformer and gru (128)."""
    depth: PositiveInt | None = None
    """Number of layers of the encoder; by default 4 for convnet, 3 for mlp, 4 for gin, 2 for transformer and 1 for
    gru."""
    pooling: Pooling | None = None
    """Pooling of a convnet: mean over all positions (the default), or flatten, which keeps where something is in the
    image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrained and self.weights is not None:
            raise ValueError(f"--pretrained and --weights {self.weights} are two ways to start: leave one of them out")
