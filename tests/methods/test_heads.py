from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.methods.heads import projection_head


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
