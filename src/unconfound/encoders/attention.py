"""Gates on a feature map, one pair an environment, of which inference uses the mean.

Deng and Zhang, "Deep Causal Metric Learning", ICML 2022; sizes and initial weights are those of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn


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
