"""The options of `infograph`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InfoGraphOptions:
    """Options of `infograph`."""

    discriminator_layers: int = 3
    """layers of each of the two networks whose outputs' inner product scores a node against a graph"""
    discriminator_features: int | None = None
    """width of these networks; by default that of the embedding, as the paper's code has it"""

    def __post_init__(self) -> None:
        for name in ("discriminator_layers", "discriminator_features"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
