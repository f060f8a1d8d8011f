"""The options of `simclr-dacl`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.methods.simclr import SimCLROptions
from unconfound.options.views import MixingOptions


@dataclass(frozen=True, kw_only=True)
class SimCLRDACLOptions(MixingOptions, SimCLROptions):
    """Options of `simclr+dacl`: those of both."""

    def __post_init__(self) -> None:
        MixingOptions.__post_init__(self)
        SimCLROptions.__post_init__(self)
