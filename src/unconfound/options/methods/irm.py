"""The options of `irm`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IRMOptions:
    """Options of `irm`."""

    penalty_weight: float = 1e4
    """of the penalty once the first epochs are over; at least 0; DomainBed's is 100"""
    penalty_anneal_epochs: int = 1
    """epochs in which the penalty has the weight 1, so that something is learnt at first"""
    balanced: bool = True
    """draw samples with replacement, so that all environments come equally often"""

    def __post_init__(self) -> None:
        for name in ("penalty_weight", "penalty_anneal_epochs"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
