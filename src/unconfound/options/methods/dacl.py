"""The options of `dacl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import MixingOptions


@dataclass(frozen=True, kw_only=True)
class DACLOptions(MixingOptions, ContrastOptions):
    """Options of `dacl`."""

    mix: Literal["auto", "input", "representation"] = "auto"
    """what is mixed: the input, or the encoder's output; auto is the input of images and tables, else the output"""

    def __post_init__(self) -> None:
        MixingOptions.__post_init__(self)
        ContrastOptions.__post_init__(self)
