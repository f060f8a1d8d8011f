"""Encoders in evaluation mode for the time being."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn


@contextmanager
def evaluation_mode(encoder: object, device: str | torch.device) -> Iterator[None]:
    """Put a module in evaluation mode and on a device for the time being; what is no module is left alone."""
    if not isinstance(encoder, nn.Module):
        yield
        return
    # Modules inside may differ in their mode (a frozen BatchNorm, say), so each gets its own back.
    modes = {module: module.training for module in encoder.modules()}
    first = next(chain(encoder.parameters(), encoder.buffers()), None)
    home = device if first is None else first.device
    try:
        encoder.eval().to(device)
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        encoder.to(home)
