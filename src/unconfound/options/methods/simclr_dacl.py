"""The options of `simclr+dacl`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.simclr import SimCLROptions
from unconfound.options.views import MixingOptions


@dataclass(frozen=True, kw_only=True)
class SimCLRDACLOptions(MixingOptions, SimCLROptions):
    """Options of `simclr+dacl`: those of simclr and those of mixing."""
