"""The options of `random`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RandomOptions:
    """Options of `random`."""

    batches: int = 10
    """batches of 256 samples that pass through, so that BatchNorm's statistics mean something"""
