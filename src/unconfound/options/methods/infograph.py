"""The options of `infograph`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, PositiveInt


@dataclass(frozen=True, kw_only=True)
class InfoGraphOptions(Checked):
    """Options of `infograph`."""

    discriminator_layers: PositiveInt = 3
    """Number of layers of each of the two networks that map nodes and graphs to the vectors whose inner product scores
    a node against a graph."""
    discriminator_features: PositiveInt | None = None
    """Width of these two networks; by default that of the embedding, as in the paper's code."""
