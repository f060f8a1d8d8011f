"""The options of `random`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, PositiveInt


@dataclass(frozen=True, kw_only=True)
class RandomOptions(Checked):
    """Options of `random`."""

    batches: PositiveInt = 10
    """Number of batches of 256 samples from which the untrained encoder estimates its BatchNorm statistics."""
