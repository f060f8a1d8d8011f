"""A network with a linear layer on top, which gives the embedding the width that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class Projected(nn.Module):
    """The network, then a linear layer, behind BatchNorm where that is asked for. The embedding is not normalised.

    Args:
        network: to project the output of.
        architecture: of the encoder.
        features: of the embedding.
        batch_norm: normalise first.

    Raises:
        ValueError: `features` is below 1.
    """

    def __init__(
        self, network: nn.Module, architecture: Mapping[str, Any], *, features: int, batch_norm: bool = False
    ) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features of the embedding must be at least 1, got {features}")
        self.network = network
        self.features = features
        width = int(network.features)  # type: ignore[arg-type]
        linear = nn.Linear(width, features)
        self.projection = nn.Sequential(nn.BatchNorm1d(width), linear) if batch_norm else nn.Sequential(linear)

    @torch.no_grad()
    def take(self, matrix: Float[Tensor, "features width"], bias: Float[Tensor, " features"]) -> None:
        """Let the linear layer be an affine map that was found in closed form."""
        linear = self.projection[-1]
        assert isinstance(linear, nn.Linear)
        linear.weight.copy_(matrix)
        linear.bias.copy_(bias)

    def forward(self, inputs: Any) -> Float[Tensor, "batch features"]:
        embeddings: Tensor = self.projection(self.network(inputs))
        return embeddings
