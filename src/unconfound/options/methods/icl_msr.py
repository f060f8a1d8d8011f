"""The options of `icl-msr`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import Checked, NonNegativeFloat, PositiveFloat, PositiveInt

StrataForm = Literal["table", "batch-mlp", "sample-mlp", "contexts", "backgrounds"]
Meta = Literal["exact", "finite-difference", "alignment", "direct", "frozen"]


@dataclass(frozen=True, kw_only=True)
class ICLMSROptions(Checked):
    """Options of `icl-msr`."""

    host: str = "simclr"
    """Base method to regularise: any method that contrasts two views, such as simclr, byol or barlow-twins."""
    host_options: tuple[str, ...] = ()
    """Options of the base method, each as NAME=VALUE, for example temperature=0.2."""
    weight: NonNegativeFloat = 1.0
    """Weight of the interventional loss relative to the loss of the base method."""
    temperature: PositiveFloat = 0.5
    """Temperature of the interventional loss."""
    negatives: Literal["cross-view", "both-views"] = "cross-view"
    """Negatives of the interventional loss: the other view of the other samples (as on the paper's poster), or both
    views of them."""
    strata: PositiveInt = 8
    """Number of strata, each of which weights the features of the positive sample in its own way, or shows it on
    another background."""
    strata_form: StrataForm = "table"
    """Source of the strata: table (free parameters), batch-mlp (a network of the batch's mean embedding), sample-mlp (a
    network of each sample's embedding), contexts (clusters of the training samples) or backgrounds (the sample's
    foreground on those of other images, which needs masks). The last two are not learnt and not part of the paper."""
    strata_on: Literal["projection", "embedding"] = "projection"
    """Features that the strata weight: those of the projection (as on the poster) or of the encoder's embedding (not
    part of the paper)."""
    meta: Meta = "exact"
    """Gradient of the strata, by the base method's loss after its next step: exact, finite-difference or alignment (to
    first order in the step). As controls, direct minimises the interventional loss and frozen keeps random strata."""
    schedule: Literal["epoch", "interleaved"] = "epoch"
    """Train the strata in a separate pass after each epoch of the base method (the two stages of the poster), or after
    each batch."""
    meta_every: PositiveInt = 1
    """Number of batches per update of the strata."""
    meta_batch: Literal["same", "other"] = "same"
    """Evaluate the base method's next step on the batch that it was computed from, or on another batch (each being half
    of the batch)."""
    outer: Literal["plain", "masked"] = "plain"
    """Loss that evaluates the step: that of the base method (plain), or its sum with the interventional loss (masked,
    as in the authors' MetaMask)."""
    exchange_backgrounds: bool = False
    """Evaluate the step on images whose backgrounds are exchanged between images, which needs masks of the foregrounds
    and is not part of the paper."""
    virtual_rate: PositiveFloat | None = None
    """Length of the base method's next step when the strata are updated; by default the current learning rate."""
    diversity_weight: NonNegativeFloat = 0.1
    """Weight of the loss that keeps the strata different from each other; it is not part of the paper."""
    strata_learning_rate: PositiveFloat = 1e-3
    """Peak learning rate of the strata."""
