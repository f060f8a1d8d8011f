"""Heads: what stands between the encoder and a loss, and is dropped after training."""

from __future__ import annotations

from torch import nn


def projection_head(features: int, projection_features: int, *, layers: int = 2) -> nn.Sequential:
    """Build SimCLR's projection head: linear layers without bias, BatchNorm after each, ReLU between.

    Args:
        features: of the encoder, and of the hidden layers.
        projection_features: of the output.
        layers: 1 is a linear map with BatchNorm.
    """
    modules: list[nn.Module] = []
    for layer in range(layers):
        last = layer == layers - 1
        width = projection_features if last else features
        modules += [nn.Linear(features, width, bias=False), nn.BatchNorm1d(width)]
        if not last:
            modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)
