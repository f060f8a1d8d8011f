"""Where to run and how precisely, by Lightning Fabric."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from unconfound.devices import choose_device, choose_precision
from unconfound.options.training import TrainingOptions
from unconfound.training.launcher import check_launcher

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FABRIC_PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def make_fabric(options: TrainingOptions, *, phases: int) -> Fabric:
    """Make and launch Fabric on one device, or on one for each process that `torchrun` started.

    Raises:
        ValueError: a device that is not here; or another launcher started several processes.
    """
    check_launcher()
    # Importing it takes longer than torch.
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    device = choose_device(options.device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    kind, _, number = device.partition(":")
    if number and processes > 1:
        raise ValueError(f"device {device!r} is one GPU for {processes} processes: use cuda, which gives each its own")
    strategy: Any = "auto"
    if processes > 1:
        # In each of several phases, the parameters of the others are unused.
        strategy = DDPStrategy(find_unused_parameters=phases > 1)
    # Which precision it is stands in our own line.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=kind,
        devices=[int(number)] if number else local,
        num_nodes=max(1, processes // local),
        strategy=strategy,
        # Left to choose, Fabric takes a single process inside a SLURM job for one of several, and refuses it.
        plugins=[TorchElasticEnvironment() if processes > 1 else LightningEnvironment()],
        precision=FABRIC_PRECISIONS[choose_precision(options.precision, device)],
    )
    fabric.launch()
    return fabric


def precision_of(fabric: Fabric) -> str:
    """Return the precision by our own word for it, as --precision takes it."""
    return {theirs: ours for ours, theirs in FABRIC_PRECISIONS.items()}[str(fabric.strategy.precision.precision)]
