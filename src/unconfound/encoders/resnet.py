"""torchvision's ResNets with a stem that fits the size of the images."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from unconfound.documents import one_line
from unconfound.encoders.weights_at_hand import check_weights_at_hand
from unconfound.extras import require

Stem = Literal["cifar", "small", "imagenet"]


def stem_for(side: int) -> Stem:
    """Choose the first layers by the shorter side of the images, in pixels.

    Up to 40: "cifar", a 3 x 3 convolution of stride 1 without max-pooling (Chen et al., ICML
    2020, appendix B.9). Up to 96: "small",
    the same with the max-pooling kept (W-MSE's setting for 64-pixel images). Else torchvision's own, "imagenet".
    """
    return "cifar" if side <= 40 else "small" if side <= 96 else "imagenet"


class ResNet(nn.Module):
    """ResNet-18, 34 or 50 up to its pooled features.

    Args:
        name: "resnet18", "resnet34" or "resnet50".
        channels: of the images.
        stem: see `stem_for`.
        pretrained: start from torchvision's ImageNet weights; needs 3 channels and the "imagenet" stem, and the
            network or torchvision's cache.

    Raises:
        ValueError: pretrained weights with another stem or number of channels, or such that cannot be had.
    """

    def __init__(self, name: str, channels: int, *, stem: Stem = "imagenet", pretrained: bool = False) -> None:
        super().__init__()
        if pretrained and (stem != "imagenet" or channels != 3):
            raise ValueError(
                f"pretrained {name} takes 3-channel images of more than 96 pixels, got {channels} channels with the "
                f"{stem} stem: use a larger --image-size, or leave --pretrained out"
            )
        models = require("torchvision.models", extra="images")
        if pretrained:
            check_weights_at_hand(name)
        try:
            network = getattr(models, name)(weights="DEFAULT" if pretrained else None)
        except OSError as error:
            raise ValueError(
                f"the published weights of {name!r} are not in the cache and cannot be downloaded ({one_line(error)}): "
                "connect to the internet once, or start --from a .safetensors file"
            ) from error
        if stem != "imagenet":
            network.conv1 = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
        elif channels != 3:
            network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        if stem == "cifar":
            network.maxpool = nn.Identity()
        self.features: int = network.fc.in_features
        network.fc = nn.Identity()
        self.network: nn.Module = network

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        embeddings: Tensor = self.network(images)
        return embeddings

    def maps(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """Return the last block's map, before it is averaged."""
        maps = images
        for name, layer in self.network.named_children():
            if name not in ("avgpool", "fc"):
                maps = layer(maps)
        return maps
