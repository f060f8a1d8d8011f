"""The head of methods that look at features one by one: its output is neither normalised nor rectified."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from unconfound.options.methods.two_views import ExpanderOptions


def expander(features: int, options: ExpanderOptions) -> nn.Sequential:
    """Build the head: linear layers without bias, with BatchNorm and ReLU between them.

    The authors of Barlow Twins have just this. Those of VICReg and W-MSE have biases as well, which BatchNorm and the
    centring in W-MSE's loss take away again (VICReg's last layer has none).

    Args:
        features: of the encoder.
        options: the widths; one layer is a linear map.
    """
    widths = [features, *[options.hidden_features] * (options.projection_layers - 1), options.projection_features]
    modules: list[nn.Module] = []
    for layer, (incoming, outgoing) in enumerate(pairwise(widths)):
        if layer:
            modules += [nn.BatchNorm1d(incoming), nn.ReLU(inplace=True)]
        modules.append(nn.Linear(incoming, outgoing, bias=False))
    return nn.Sequential(*modules)
