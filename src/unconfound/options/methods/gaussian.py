"""The options of `gaussian`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.methods.contrast import ContrastOptions
from unconfound.options.views import NoiseOptions


@dataclass(frozen=True, kw_only=True)
class GaussianOptions(NoiseOptions, ContrastOptions):
    """Options of `gaussian`."""

    noise_at: Literal["auto", "input", "representation"] = "auto"
    """where noise is added: to the input, or to the encoder's output; auto is the input of images and tables, else the
    output"""

    def __post_init__(self) -> None:
        NoiseOptions.__post_init__(self)
        ContrastOptions.__post_init__(self)
