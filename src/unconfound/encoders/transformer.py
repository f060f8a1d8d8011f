"""A small transformer, for text and series."""

from __future__ import annotations

from typing import Any

from torch import nn


class Transformer(nn.Module):
    """A small transformer with masked mean pooling."""

    def __init__(self, channels: int, *, tokens: bool, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.features = width

    def forward(self, sequences: Any) -> Any:
        raise ValueError("being written")
