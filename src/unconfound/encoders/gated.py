"""A network whose feature map is gated before it is averaged: by one pair of gates an environment, or by their mean.

Deng and Zhang, "Deep Causal Metric Learning", ICML 2022; sizes and initial weights are those of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.encoders.apply import at_rest
from unconfound.encoders.feature_maps import last_map
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
        if not isinstance(network, Normalized):
            around = ", ".join(each["kind"] for each in architecture.get("wrappers", ()))
            raise ValueError(
                f"attention gates the feature map of a network itself, and this encoder has more around it ({around}): "
                "start from a run that has not"
            )
        if architecture.get("pooling") == "flatten":
            raise ValueError("attention needs a feature map that is averaged: leave --pooling flatten out")
        self.network = network
        self.features = network.features
        # Only trying shows how large a network's map is.
        with at_rest(network), torch.no_grad():
            maps = last_map(network, network.mean.new_zeros(1, *architecture["shape"]))
        # Some of timm's transformers put the features last.
        ordered = getattr(network.network, "output_fmt", "NCHW") == "NCHW"
        if maps is None or maps.dim() != 4 or not ordered:
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
        maps: Tensor = last_map(self.network, images)
        return maps

    def pool(self, maps: Float[Tensor, "batch features map_height map_width"]) -> Float[Tensor, "batch features"]:
        """Gate feature maps by the mean weights, and average them over places."""
        pooled: Tensor = self.attention(maps, self.attention.mean_weights())
        return pooled.squeeze(0)


@final
class Attention(nn.Module):
    """A spatial and a channel gate after it, both of two linear layers without bias, once for each environment.

    The spatial gate looks at the mean over channels of the map, the channel gate at the mean over places of what the
    spatial gate lets through. What is pooled afterwards is never held as a map: the mean over places of a gated map is
    channel gate x mean(spatial gate x map).

    Args:
        channels: of the map.
        places: height x width of the map.
        environments: pairs of gates, which differ in their random initial weights.
    """

    def __init__(self, channels: int, places: int, *, environments: int) -> None:
        super().__init__()
        if environments < 1:
            raise ValueError(f"environments must be at least 1, got {environments}")
        hidden = max(1, channels // 2)
        sizes = {
            "spatial_in": (places, places),
            "spatial_out": (places, places),
            "channel_in": (hidden, channels),
            "channel_out": (channels, hidden),
        }
        self.weights = nn.ParameterDict(
            {
                # As torch's linear layers begin.
                name: nn.Parameter(torch.empty(environments, *size).uniform_(-1, 1) / math.sqrt(size[1]))
                for name, size in sizes.items()
            }
        )

    @property
    def environments(self) -> int:
        """Their number."""
        return len(self.weights["spatial_in"])

    def mean_weights(self) -> dict[str, Tensor]:
        """Return the mean weights over environments as those of a single one."""
        return {name: weight.mean(0, keepdim=True) for name, weight in self.weights.items()}

    def gates(
        self, maps: Float[Tensor, "batch channels height width"], weights: Mapping[str, Tensor] | None = None
    ) -> tuple[
        Float[Tensor, "environments batch 1 height width"],
        Float[Tensor, "environments batch channels 1 1"],
    ]:
        """Return the spatial and the channel gates in (0, 1).

        Args:
            maps: feature maps of the size that this was made for.
            weights: those of all environments by default; or `mean_weights()`.
        """
        return self.gates_and_means(maps, weights)[:2]

    def forward(
        self, maps: Float[Tensor, "batch channels height width"], weights: Mapping[str, Tensor] | None = None
    ) -> Float[Tensor, "environments batch channels"]:
        """Return the gated maps' means over places. Arguments are those of `gates`."""
        return self.gates_and_means(maps, weights)[2]

    def gates_and_means(
        self, maps: Float[Tensor, "batch channels height width"], weights: Mapping[str, Tensor] | None = None
    ) -> tuple[
        Float[Tensor, "environments batch 1 height width"],
        Float[Tensor, "environments batch channels 1 1"],
        Float[Tensor, "environments batch channels"],
    ]:
        """Return the gates and the gated maps' means over places. Arguments are those of `gates`."""
        weights = dict(self.weights.items()) if weights is None else weights
        rows = maps.flatten(2)
        spatial = _gate(rows.mean(1).expand(len(weights["spatial_in"]), -1, -1), weights, "spatial")
        pooled = torch.einsum("bcp,ebp->ebc", rows, spatial) / rows.shape[2]
        channel = _gate(pooled, weights, "channel")
        return spatial.unflatten(2, maps.shape[2:]).unsqueeze(2), channel[..., None, None], channel * pooled


def _gate(rows: Tensor, weights: Mapping[str, Tensor], kind: str) -> Float[Tensor, "environments batch width"]:
    hidden = torch.relu(rows @ weights[f"{kind}_in"].mT)
    return torch.sigmoid(hidden @ weights[f"{kind}_out"].mT)
