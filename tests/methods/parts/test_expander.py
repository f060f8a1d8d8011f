from __future__ import annotations

import torch

from unconfound.methods.parts.expander import ExpanderOptions, expander


def test_the_layers_are_those_of_the_options():
    head = expander(7, ExpanderOptions(hidden_features=6, projection_features=5, projection_layers=3))
    assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]
    linears = [layer for layer in head if isinstance(layer, torch.nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linears] == [(6, 7), (6, 6), (5, 6)]
    assert all(layer.bias is None for layer in linears)
    assert head(torch.randn(4, 7)).shape == (4, 5)


def test_one_layer_is_a_linear_map():
    (layer,) = expander(7, ExpanderOptions(projection_features=5, projection_layers=1))
    assert layer.weight.shape == (5, 7)
