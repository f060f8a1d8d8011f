"""The options of `irm`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, NonNegativeFloat, NonNegativeInt


@dataclass(frozen=True, kw_only=True)
class IRMOptions(Checked):
    """Options of `irm`."""

    penalty_weight: NonNegativeFloat = 1e4
    """Weight of the invariance penalty after the first epochs; DomainBed uses 100."""
    penalty_anneal_epochs: NonNegativeInt = 1
    """Number of initial epochs in which the penalty has a weight of 1, so that the model fits the data first."""
    balanced: bool = True
    """Draw samples with replacement, so that all environments are equally frequent."""
