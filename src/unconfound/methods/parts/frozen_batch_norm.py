"""BatchNorm that stays as it is while a pretrained network learns."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_batch_norms(network: nn.Module) -> None:
    """Keep statistics, scale and shift of all BatchNorm in a network; to be called again after `network.train()`."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval().requires_grad_(False)
