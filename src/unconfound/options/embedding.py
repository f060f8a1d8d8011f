"""How samples are embedded: options that commands and functions share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unconfound.options.constraints import Checked, PositiveInt
from unconfound.options.training import Precision


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(Checked):
    """How samples are embedded."""

    batch_size: PositiveInt = 512
    """Number of samples to embed at a time."""
    device: str = "auto"
    """Device of the encoder: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "32"
    """Numerical precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""


def flat(arguments: Any) -> dict[str, Any]:
    """Return the arguments of a command as the function of its name takes them, those of `embedding` one by one."""
    values = dict(vars(arguments))
    return values | vars(values.pop("embedding"))
