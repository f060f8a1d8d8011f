"""The options of `dfr`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import Checked, PositiveFloat, PositiveInt

Part = Literal["validation", "training"]

Penalty = Literal["l1", "l2"]


@dataclass(frozen=True, kw_only=True)
class DFROptions(Checked):
    """Options of `dfr`."""

    refit_on: Part = "validation"
    """Samples that the last layer is refitted on; validation falls back to the training samples where there are no
    validation samples with known groups."""
    penalty: Penalty = "l1"
    """Penalty of the logistic regressions; the paper uses l1."""
    inverse_strengths: tuple[PositiveFloat, ...] = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
    """Inverse strengths of the penalty to choose from, by the accuracy of the worst group on a held-out half."""
    draws: PositiveInt = 10
    """Number of group-balanced subsets whose regressions are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inverse_strengths:
            raise ValueError("inverse_strengths must be at least one number, got none")
