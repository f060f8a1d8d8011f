"""A network over the samples of a source, without learning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from unconfound.data import Batch, Source

Result = TypeVar("Result")


@contextmanager
def at_rest(network: object, device: str | torch.device | None = None) -> Iterator[torch.device]:
    """Put a module in evaluation mode and on a device for the time being; what is no module is left alone.

    Args:
        network: the module; afterwards its device and its modes are what they were.
        device: None: that on which it is.

    Yields:
        The device.
    """
    if not isinstance(network, nn.Module):
        yield torch.device(device or "cpu")
        return
    # Modules inside may differ in their mode (a frozen BatchNorm, say), so each gets its own back.
    modes = {module: module.training for module in network.modules()}
    first = next(chain(network.parameters(), network.buffers()), None)
    home = torch.device("cpu") if first is None else first.device
    there = torch.device(home if device is None else device)
    try:
        network.eval().to(there)
        yield there
    finally:
        for module, training in modes.items():
            module.training = training
        network.to(home)


def over_source(
    network: object,
    function: Callable[[Batch, Any], Result],
    source: Source,
    order: Iterable[Int[Tensor, " batch"]],
    *,
    device: str | torch.device | None = None,
) -> list[Result]:
    """Call a function for batches of a source while a network is at rest, without gradients.

    Args:
        network, device: as `at_rest` has them.
        function: of a batch on the CPU, and of its inputs on the device.
        source: of the samples.
        order: the positions of each batch.

    Returns:
        What the function returned, batch by batch.
    """
    with at_rest(network, device) as there, torch.no_grad():
        return [function(batch, batch.inputs.to(there, non_blocking=True)) for batch in source.batches(order)]
