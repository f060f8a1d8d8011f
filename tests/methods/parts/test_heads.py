from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.methods.parts.heads import plain_head, projection_head, two_layer_head


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_is_linear_and_batch_norm_with_relu_between(layers):
    head = projection_head(6, 4, layers=layers)
    kinds = [type(module) for module in head]
    assert kinds == ([nn.Linear, nn.BatchNorm1d, nn.ReLU] * layers)[:-1]
    assert all(module.bias is None for module in head if isinstance(module, nn.Linear))
    output = head(torch.randn(10, 6))
    assert output.shape == (10, 4)
    torch.testing.assert_close(output.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    assert (output < 0).any()  # no ReLU at the end


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_hidden_layers_have_their_own_width_and_the_last_batch_norm_may_have_no_scale(layers):
    head = projection_head(6, 4, layers=layers, hidden_features=5, scale_last=False)
    widths = [(module.in_features, module.out_features) for module in head if isinstance(module, nn.Linear)]
    assert widths == {1: [(6, 4)], 2: [(6, 5), (5, 4)], 3: [(6, 5), (5, 5), (5, 4)]}[layers]
    assert [module.affine for module in head if isinstance(module, nn.BatchNorm1d)] == [True] * (layers - 1) + [False]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_plain_head_has_no_batch_norm(layers):
    head = plain_head(6, 4, layers=layers)
    assert [type(module) for module in head] == ([nn.Linear, nn.ReLU] * layers)[:-1]
    assert all(module.bias is not None for module in head if isinstance(module, nn.Linear))
    assert head(torch.randn(1, 6)).shape == (1, 4)


def test_the_head_of_two_layers_normalises_between_them_alone():
    head = two_layer_head(6, 4, hidden_features=5)
    assert [type(module) for module in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert (head[0].bias, head[3].bias is None) == (None, False)
    assert head[1].num_features == 5
    assert head(torch.randn(10, 6)).shape == (10, 4)
