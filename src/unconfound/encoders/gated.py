"""A network whose feature map is gated before it is averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.encoders.attention import Attention
from unconfound.encoders.normalized import Images, Normalized


@final
class Gated(nn.Module):
    """The network's last feature map, its gates by `Attention` with the mean weights over environments, its mean.

    Args:
        network: around a convolutional network that averages its feature map.
        architecture: of the encoder, with its name and the shape of a sample.
        environments: pairs of gates.

    Raises:
        ValueError: the network has no feature map, or one that it does not average.
    """

    def __init__(self, network: Normalized, architecture: Mapping[str, Any], *, environments: int) -> None:
        super().__init__()
        name, modality = architecture["name"], architecture["modality"]
        if modality != "images":
            raise ValueError(f"attention gates the feature map of an image, this encoder takes {modality}")
        if architecture.get("pooling") == "flatten":
            raise ValueError("attention needs a feature map that is averaged: leave --pooling flatten out")
        self.network = network
        self.features = network.features
        training = network.training
        # Only trying shows how large a network's map is.
        with torch.no_grad():
            network.eval()
            maps = _feature_map(network, network.mean.new_zeros(1, *architecture["shape"]))
        network.train(training)
        if maps is None or maps.dim() != 4:
            raise ValueError(
                f"{name} has no feature map [batch, channels, height, width]: take a ResNet or another convolutional "
                "network"
            )
        if maps.shape[1] != self.features:
            raise ValueError(
                f"attention needs a feature map of the {self.features} channels of the embedding, {name} has one of "
                f"{maps.shape[1]}: take a ResNet"
            )
        self.attention = Attention(self.features, maps.shape[2:].numel(), environments=environments)

    def forward(self, images: Images) -> Float[Tensor, "batch features"]:
        return self.pool(self.maps(images))

    def maps(self, images: Images) -> Float[Tensor, "batch features map_height map_width"]:
        """Return the network's last feature map, before it is gated and averaged."""
        maps: Tensor = _feature_map(self.network, images)
        return maps

    def pool(self, maps: Float[Tensor, "batch features map_height map_width"]) -> Float[Tensor, "batch features"]:
        """Gate feature maps by the mean weights, and average them over places."""
        pooled: Tensor = self.attention(maps, self.attention.mean_weights())
        return pooled.squeeze(0)


def _feature_map(network: Normalized, images: Tensor) -> Any:
    inner = network.network
    find: Any = getattr(inner, "maps", None) or getattr(inner, "forward_features", None)
    return None if find is None else find(network.normalize(images))
