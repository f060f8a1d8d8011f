"""Target networks: slow copies that follow what is learnt (BYOL, MoCo, ReSSL, RELIC, SSL-HSIC)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class TargetNetwork(nn.Module):
    """A copy of some modules, one after the other, whose weights follow by a moving average and get no gradient.

    Its BatchNorm layers count their own statistics.

    Args:
        modules: those to follow; the first is the encoder.
        momentum: of the moving average, in [0, 1]; where it rises, the first one.
        rises: the momentum rises to 1 along half a cosine (`cosine_momentum`); False: it is constant.

    Attributes:
        done: share of the training that is behind, in [0, 1], which the method sets before an update.
    """

    def __init__(self, modules: Sequence[nn.Module], *, momentum: float, rises: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(nn.Sequential(*modules)).requires_grad_(False)
        self.first_momentum, self.rises, self.done = momentum, rises, 0.0

    @torch.no_grad()
    def forward(self, inputs: Any) -> Tensor:
        # Without a gradient, and without a tangent of forward differentiation either.
        outputs: Tensor = self.network(inputs)
        return outputs.detach()

    @property
    def momentum(self) -> float:
        """The momentum at this time of the training."""
        return cosine_momentum(self.first_momentum, self.done) if self.rises else self.first_momentum

    @torch.no_grad()
    def follow(self, modules: Sequence[nn.Module]) -> None:
        """Move every weight w to momentum * w + (1 - momentum) * (its counterpart in `modules`)."""
        momentum = self.momentum
        for weight, learnt in zip(self.parameters(), nn.ModuleList(modules).parameters(), strict=True):
            weight.lerp_(learnt, 1 - momentum)


def cosine_momentum(first: float, done: float) -> float:
    """Return the momentum after a share of the training: from `first` to 1 along half a cosine.

    Grill et al., "Bootstrap Your Own Latent" (NeurIPS 2020), section 3.2: 1 - (1 - first) (cos(pi done) + 1) / 2.
    """
    return 1 - (1 - first) * (math.cos(math.pi * done) + 1) / 2
