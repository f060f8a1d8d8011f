"""The optimizer of a phase, and its learning rate at every step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from unconfound.methods import Phase
from unconfound.options.training import TrainingOptions
from unconfound.training.lars import LARS


def build_optimizer(
    phase: Phase,
    options: TrainingOptions,
    *,
    device: str = "cpu",
    scales: Mapping[nn.Parameter, float] | None = None,
) -> Optimizer:
    """Make the optimizer of a phase, of those of its parameters that are not frozen.

    Biases, BatchNorm and all other vectors get no weight decay (and no adaptation under LARS). Every group keeps its
    highest learning rate under "highest", from which `set_learning_rate` takes a share.

    On the CPU AdamW is torch's fused one, several times as fast as the loop over parameters that is the default there.
    Elsewhere torch's default is fast, and Fabric cannot clip the scaled gradients of a fused one.

    Args:
        phase: what it moves.
        options: kind and rates.
        device: where the parameters are, or will be.
        scales: the share of its group's learning rate that a parameter has; 1 where it is not named.

    Raises:
        ValueError: all of its parameters are frozen.
    """
    scales = scales or {}
    rate = options.highest_learning_rate if phase.learning_rate is None else phase.learning_rate
    groups = []
    for group in _groups(phase):
        given = {"lr": rate, "weight_decay": options.weight_decay} | group
        moving = [parameter for parameter in group["params"] if parameter.requires_grad]
        for scale in dict.fromkeys(scales.get(parameter, 1.0) for parameter in moving):
            alike = [parameter for parameter in moving if scales.get(parameter, 1.0) == scale]
            matrices = [parameter for parameter in alike if parameter.ndim > 1]
            vectors = [parameter for parameter in alike if parameter.ndim <= 1]
            scaled = given | {"lr": given["lr"] * scale, "scale": scale}
            if matrices:
                groups.append(scaled | {"params": matrices})
            if vectors:
                groups.append(scaled | {"params": vectors, "weight_decay": 0.0})
    if not groups:
        raise ValueError(f"nothing is left to learn in the phase {phase.name}: freeze less of the encoder")
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
    """Set every group to a share of its highest learning rate; return the first group's, as it is without `scales`."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest"] * share
    return float(optimizer.param_groups[0]["lr"] / optimizer.param_groups[0].get("scale", 1.0))


def _groups(phase: Phase) -> list[dict[str, Any]]:
    loose = [item for item in phase.parameters if isinstance(item, nn.Parameter)]
    groups: list[dict[str, Any]] = [
        item | {"params": list(item["params"])} for item in phase.parameters if isinstance(item, dict)
    ]
    return ([{"params": loose}] if loose else []) + groups
