"""The options of `jtt`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from unconfound.options.constraints import Checked, PositiveInt, at_least


@dataclass(frozen=True, kw_only=True)
class JTTOptions(Checked):
    """Options of `jtt`."""

    identification_epochs: PositiveInt = 1
    """Number of epochs, out of all epochs, to train the first model, whose errors are upweighted for the second."""
    upweight: Annotated[float, at_least(1)] = 20.0
    """Factor by which samples that the first model misclassifies are drawn more often than others."""
