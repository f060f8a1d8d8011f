"""The options of `dfr`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.suggestions import nearest_name

Part = Literal["validation", "training"]

Penalty = Literal["l1", "l2"]


@dataclass(frozen=True, kw_only=True)
class DFROptions:
    """Options of `dfr`."""

    refit_on: Part = "validation"
    """samples to which the last layer is fit: validation (training where no validation part has groups) or training"""
    penalty: Penalty = "l1"
    """of the logistic regressions: l1 (the paper's) or l2"""
    inverse_strengths: tuple[float, ...] = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
    """of the penalty, from which the one of the best worst group on a held-out half is chosen"""
    draws: int = 10
    """balanced subsets whose regressions are averaged"""

    def __post_init__(self) -> None:
        for name, kind in (("refit_on", Part), ("penalty", Penalty)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}: {nearest_name(getattr(self, name), get_args(kind))}"
                )
        if not self.inverse_strengths or not all(strength > 0 for strength in self.inverse_strengths):
            raise ValueError(f"inverse_strengths must be above 0 and at least one, got {self.inverse_strengths}")
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, got {self.draws}")
