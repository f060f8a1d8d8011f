"""Where to run and how precisely, by Lightning Fabric."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import torch

from unconfound.training.launcher import check_launcher
from unconfound.training.options import TrainingOptions

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def choose_device(device: str) -> str:
    """Turn "auto" into the best device here.

    Raises:
        ValueError: an unknown device, or one that is not here.
    """
    available = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if device == "auto":
        return available[-1]
    if device not in available:
        raise ValueError(f"device {device!r} is not available here: use auto or {', '.join(available)}")
    return device


def choose_precision(precision: str, device: str) -> str:
    """Turn "auto" into "bf16-mixed" where the hardware multiplies bfloat16 matrices faster, else "32-true"."""
    named = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    if precision != "auto":
        return named[precision]
    gains = torch.cuda.is_bf16_supported() if device == "cuda" else device == "cpu" and _has_amx()
    return named["bf16" if gains else "32"]


def make_fabric(options: TrainingOptions, *, phases: int) -> Fabric:
    """Make and launch Fabric on one device, or on one for each process that `torchrun` started.

    Raises:
        ValueError: a device that is not here; or another launcher started several processes.
    """
    check_launcher()
    # Importing it takes longer than torch.
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    device = choose_device(options.device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    strategy: Any = "auto"
    if processes > 1:
        # In each of several phases, the parameters of the others are unused.
        strategy = DDPStrategy(find_unused_parameters=phases > 1)
    # Which precision it is stands in our own line.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=max(1, processes // local),
        strategy=strategy,
        # Left to choose, Fabric takes a single process inside a SLURM job for one of several, and refuses it.
        plugins=[TorchElasticEnvironment() if processes > 1 else LightningEnvironment()],
        precision=choose_precision(options.precision, device),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _has_amx() -> bool:
    return bool(torch.cpu._is_amx_tile_supported())
