"""Layer-wise adaptive rate scaling, for large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LARS(Optimizer):
    """You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks", 2017, in the form of SimCLR's code.

    velocity = momentum x velocity + rate x trust x (gradient + weight_decay x weight), weight -= velocity, with
    trust = coefficient x |weight| / |gradient + weight_decay x weight| for groups whose "adapt" is true (1 where either
    norm is 0), and 1 for others: biases and BatchNorm.

    Args:
        parameters: or groups of them; a group may hold "adapt".
        lr: learning rate.
        momentum: of the velocity.
        weight_decay: L2 penalty.
        trust_coefficient: "coefficient" above.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults | {"trust_coefficient": trust_coefficient, "adapt": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        if closure is not None:
            raise ValueError("LARS takes no closure: call backward, then step()")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                change = weight.grad.add(weight, alpha=group["weight_decay"])
                if group["adapt"]:
                    norms = weight.norm() * (change.norm() > 0), change.norm()
                    trust = torch.where(norms[0] > 0, group["trust_coefficient"] * norms[0] / norms[1], 1.0)
                    change = change * trust
                velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
                velocity.mul_(group["momentum"]).add_(change, alpha=group["lr"])
                weight.sub_(velocity)
        return None
