"""How samples are embedded: options that commands and functions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from unconfound.options.constraints import Checked, NonNegativeFloat, NonNegativeInt, PositiveInt
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


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(Checked):
    """How images that do not fit into memory are read; `DataOptions` has the same for training."""

    memory_gib: NonNegativeFloat = 4.0
    """Largest size in GiB, once decoded, of an image folder that is cached and held in memory; a larger folder is
    streamed."""
    workers: NonNegativeInt = 2
    """Number of processes that decode the images of a streamed folder."""


def flat(arguments: Any) -> dict[str, Any]:
    """Return the arguments of a command as the function of its name takes them, those of its groups one by one."""
    values = dict(vars(arguments))
    for group in ("embedding", "reading"):
        values |= vars(values.pop(group))
    return values


def grouped(options: Mapping[str, Any]) -> tuple[EmbeddingOptions, ReadingOptions]:
    """Return the groups of options that a function was handed one by one.

    Raises:
        TypeError: an unknown option.
        ValueError: a value that an option does not take.
    """
    reading = {each.name for each in fields(ReadingOptions)}
    return (
        EmbeddingOptions(**{name: value for name, value in options.items() if name not in reading}),
        ReadingOptions(**{name: value for name, value in options.items() if name in reading}),
    )
