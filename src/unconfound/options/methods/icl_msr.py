"""Options of ICL-MSR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

StrataForm = Literal["table", "batch-mlp", "sample-mlp", "contexts"]
Meta = Literal["exact", "finite-difference", "alignment", "direct", "frozen"]


@dataclass(frozen=True, kw_only=True)
class ICLMSROptions:
    """Options of `icl-msr`."""

    host: str = "simclr"
    """method that is regularised, any that contrasts two views: simclr, byol, barlow-twins, ..."""
    host_options: tuple[str, ...] = ()
    """options of that method, each as NAME=VALUE, as in temperature=0.2"""
    weight: float = 1.0
    """of the interventional loss beside the host's; at least 0"""
    temperature: float = 0.5
    """of the interventional loss; above 0"""
    negatives: Literal["cross-view", "both-views"] = "cross-view"
    """of the interventional loss: the other view of the other samples (the poster's), or both views of them"""
    strata: int = 8
    """number of strata"""
    strata_form: StrataForm = "table"
    """free numbers, a network of the batch's mean embedding or of each sample's, or (ours, not learnt) clusters of the
    training samples"""
    strata_on: Literal["projection", "embedding"] = "projection"
    """what strata weight: the projection (the poster's), or the encoder's embedding (ours)"""
    meta: Meta = "exact"
    """how strata learn. From the host's loss after its next step: exact, by finite-difference, or alignment (to first
    order in the step). As controls: direct (strata that minimise the interventional loss) and frozen (random strata)"""
    schedule: Literal["epoch", "interleaved"] = "epoch"
    """strata learn in a pass of their own after the host's (the poster's two stages an epoch), or after each batch"""
    meta_every: int = 1
    """strata learn on every so many-th batch"""
    meta_batch: Literal["same", "other"] = "same"
    """the host's next step is judged on the batch that it was made from, or on another (each half of the batch)"""
    outer: Literal["plain", "masked"] = "plain"
    """what judges: the host's loss, or that plus the interventional loss (as the authors' MetaMask has it)"""
    exchange_backgrounds: bool = False
    """judge on images whose backgrounds were exchanged between images (ours; needs masks of the foregrounds)"""
    virtual_rate: float | None = None
    """length of the host's next step as strata see it; by default the learning rate at that time"""
    diversity_weight: float = 0.1
    """of the term that keeps strata apart (ours: the poster has none); at least 0"""
    strata_learning_rate: float = 1e-3
    """of the strata; above 0"""

    def __post_init__(self) -> None:
        for name in ("weight", "diversity_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("temperature", "strata_learning_rate", "virtual_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name in ("strata", "meta_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, allowed in (
            ("strata_form", get_args(StrataForm)),
            ("meta", get_args(Meta)),
            ("negatives", ("cross-view", "both-views")),
            ("strata_on", ("projection", "embedding")),
            ("schedule", ("epoch", "interleaved")),
            ("meta_batch", ("same", "other")),
            ("outer", ("plain", "masked")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {' or '.join(allowed)}, got {getattr(self, name)!r}")
