"""Heads: what stands between the encoder and a loss, and is dropped after training."""

from __future__ import annotations

from torch import nn


def projection_head(
    features: int,
    projection_features: int,
    *,
    layers: int = 2,
    hidden_features: int | None = None,
    scale_last: bool = True,
) -> nn.Sequential:
    """Build SimCLR's projection head: linear layers without bias, BatchNorm after each, ReLU between.

    Args:
        features: of the encoder.
        projection_features: of the output.
        layers: 1 is a linear map with BatchNorm.
        hidden_features: of the hidden layers; those of the encoder by default.
        scale_last: False leaves weight and bias of the last BatchNorm out, as SimSiam and MoCo v3 do.
    """
    hidden = hidden_features or features
    modules: list[nn.Module] = []
    for layer in range(layers):
        last = layer == layers - 1
        width = projection_features if last else hidden
        modules += [
            nn.Linear(features if layer == 0 else hidden, width, bias=False),
            nn.BatchNorm1d(width, affine=scale_last or not last),
        ]
        if not last:
            modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


def plain_head(features: int, projection_features: int, *, layers: int = 2) -> nn.Sequential:
    """Build MoCo v2's projection head: linear layers with ReLU between, no BatchNorm.

    Args:
        features: of the encoder, and of the hidden layers.
        projection_features: of the output.
        layers: 1 is a linear map, the head of the first MoCo.
    """
    modules: list[nn.Module] = []
    for _ in range(layers - 1):
        modules += [nn.Linear(features, features), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules, nn.Linear(features, projection_features))


def two_layer_head(features: int, output_features: int, *, hidden_features: int) -> nn.Sequential:
    """Build a linear layer, BatchNorm, ReLU and a linear layer: BYOL's head, and its and SimSiam's predictor.

    Args:
        features: of the input.
        output_features: of the output, which is not normalised.
        hidden_features: of the layer between.
    """
    return nn.Sequential(
        # BatchNorm takes a bias away again.
        nn.Linear(features, hidden_features, bias=False),
        nn.BatchNorm1d(hidden_features),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_features, output_features),
    )
