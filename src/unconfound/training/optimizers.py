"""The optimizer of a phase, and its learning rate at every step."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from unconfound.methods import Phase
from unconfound.options.training import TrainingOptions
from unconfound.training.lars import LARS


def build_optimizer(phase: Phase, options: TrainingOptions, *, device: str = "cpu") -> Optimizer:
    """Make the optimizer of a phase.

    Biases, BatchNorm and all other vectors get no weight decay (and no adaptation under LARS). Every group keeps its
    highest learning rate under "highest", from which `set_learning_rate` takes a share.

    On the CPU AdamW is torch's fused one, several times as fast as the loop over parameters that is the default there.
    Elsewhere torch's default is fast, and Fabric cannot clip the scaled gradients of a fused one.
    """
    rate = options.highest_learning_rate if phase.learning_rate is None else phase.learning_rate
    groups = []
    for group in _groups(phase):
        given = {"lr": rate, "weight_decay": options.weight_decay} | group
        matrices = [parameter for parameter in group["params"] if parameter.ndim > 1]
        vectors = [parameter for parameter in group["params"] if parameter.ndim <= 1]
        if matrices:
            groups.append(given | {"params": matrices})
        if vectors:
            groups.append(given | {"params": vectors, "weight_decay": 0.0})
    if options.optimizer == "lars":
        groups = [group | {"adapt": group["params"][0].ndim > 1} for group in groups]
    groups = [group | {"highest": group["lr"]} for group in groups]
    match options.optimizer:
        case "adamw":
            return AdamW(groups, fused=True if device == "cpu" else None)
        case "sgd":
            return SGD(groups, momentum=0.9)
        case "rmsprop":
            return RMSprop(groups, momentum=0.9)
        case "lars":
            return LARS(groups, lr=rate)


def schedule(epoch: float, *, epochs: int, warmup: float) -> float:
    """Share of the highest learning rate: a linear rise over the warm-up, then half a cosine to 0.

    Args:
        epoch: epochs behind, with their fraction; 0 at the first update.
        epochs: of the whole training.
        warmup: epochs of the rise; at most half of `epochs` are used.
    """
    warmup = min(warmup, epochs / 2)
    if epoch < warmup:
        # The first update has a small share, not 0: with one update an epoch nothing would move.
        return max(epoch / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))


def set_learning_rate(optimizer: Optimizer, share: float) -> float:
    """Set every group to a share of its highest learning rate; return the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest"] * share
    return float(optimizer.param_groups[0]["lr"])


def _groups(phase: Phase) -> list[dict[str, Any]]:
    loose = [item for item in phase.parameters if isinstance(item, nn.Parameter)]
    groups: list[dict[str, Any]] = [
        item | {"params": list(item["params"])} for item in phase.parameters if isinstance(item, dict)
    ]
    return ([{"params": loose}] if loose else []) + groups
