"""Which encoder, as flags and recipe keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from unconfound.options.constraints import Checked, PositiveInt

Pooling = Literal["mean", "flatten", "token"]

# Options that are of one encoder, and mean something else for the next, or nothing.
SIZES = ("width", "depth", "pooling")


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(Checked):
    """The network that is trained and saved."""

    encoder: str = "auto"
    """Encoder: convnet, resnet18, resnet34, resnet50 or any timm model for images; mlp for tables; gin for graphs;
    transformer or gru for texts and time series. With auto: resnet18, mlp, gin or transformer."""
    start: Annotated[str | None, tyro.conf.arg(name="from", aliases=("--start",))] = None
    """Start from trained weights: a run folder, whose encoder and way to read data come along; a .safetensors file, of
    a run or published for the network that --encoder names; a ResNet or timm model with published weights, which are
    downloaded unless they are cached; or hf-hub:NAME, a timm model of the Hugging Face Hub, its cache or a folder."""
    pretrained: bool = False
    """Start from published weights of --encoder (ResNets and timm models only), as --from does of the one that it
    names."""
    width: PositiveInt | None = None
    """Width of the encoder: channels of the first layer of a convnet (by default 32), or features of every layer of mlp
    (256), gin (512), transformer and gru (128)."""
    depth: PositiveInt | None = None
    """Number of layers of the encoder; by default 4 for convnet, 3 for mlp, 4 for gin, 2 for transformer and 1 for
    gru."""
    pooling: Pooling | None = None
    """Pooling of the encoder: mean over all positions, or flatten, which keeps where something is in the image, for
    convnet (by default mean); mean over all patches, or the class token, for vision transformers of timm (by default
    what the model was trained with)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrained and self.start is not None:
            raise ValueError(f"--pretrained and --from {self.start} are two ways to start: leave --pretrained out")
