"""The options of `group-dro`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, NonNegativeFloat


@dataclass(frozen=True, kw_only=True)
class GroupDROOptions(Checked):
    """Options of `group-dro`."""

    step_size: NonNegativeFloat = 0.01
    """Step size of the group weights; larger steps make them follow the group losses faster."""
    adjustment: NonNegativeFloat = 0.0
    """Constant C of the adjustment C / sqrt(n) that is added to the loss of a group of n training samples when the
    group weights are updated."""
    balanced: bool = True
    """Draw samples with replacement, so that all groups are equally frequent."""
