"""The options of the methods that learn their last layer anew, or are tuned, from labels alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ShareBelowOne,
    within,
)

Part = Literal["held-out", "validation"]
Selection = Literal[
    "early-stop-disagreement", "dropout-disagreement", "early-stop-misclassification", "misclassification"
]


@dataclass(frozen=True, kw_only=True)
class HeldOutOptions(Checked):
    """Options of the samples that the last layer is learnt from."""

    refit_on: Part = "held-out"
    """Samples that the last layer is learnt from anew: training samples that the encoder is not trained on, or the
    validation part."""
    held_out_share: Annotated[float, within(0, 1, closed="neither")] = 0.2
    """Share of the training samples of each class that are held out; only used with --refit-on held-out."""


@dataclass(frozen=True, kw_only=True)
class AFROptions(HeldOutOptions):
    """Options of `afr`."""

    gamma: NonNegativeFloat = 2.0
    """Sharpness of the weights exp(-gamma p), where p is the probability that the first stage gives to the right class;
    0 weights all samples of a class alike. The paper chooses it by the worst group; its authors state 14 for Waterbirds
    and 1.8 for CelebA."""
    pull: NonNegativeFloat = 0.2
    """Weight of the squared distance of the last layer from that of the first stage; the paper chooses it from 0 to 0.4
    by the worst group."""
    steps: PositiveInt = 500
    """Number of steps of gradient descent on all held-out samples."""
    refit_learning_rate: PositiveFloat = 0.02
    """Learning rate of these steps, which is lowered where they could diverge."""


@dataclass(frozen=True, kw_only=True)
class SELFOptions(HeldOutOptions):
    """Options of `self`."""

    select: Selection = "early-stop-disagreement"
    """Samples to select: those on which the model and its early-stopped version, or the model and itself with dropout,
    disagree most, or those that the early-stopped or the final model predicts worst."""
    selected: PositiveInt = 100
    """Number of selected samples; the paper chooses from 20, 100 and 500 by the worst group."""
    early_share: ShareBelowOne = 0.1
    """Share of the training after which the early-stopped model is taken; only used by the two selections with
    early-stop."""
    dropout: Annotated[float, within(0, 1, closed="neither")] = 0.5
    """Probability with which each feature of an embedding is dropped; only used with --select dropout-disagreement."""
    steps: PositiveInt = 250
    """Number of steps in which the last layer is tuned."""
    refit_batch_size: PositiveInt = 32
    """Number of selected samples per step, drawn with replacement so that all classes are equally frequent."""
    refit_learning_rate: PositiveFloat = 1e-3
    """Learning rate of these steps; the paper chooses from 0.0001, 0.001 and 0.01 by the worst group."""


@dataclass(frozen=True, kw_only=True)
class MaskTuneOptions(Checked):
    """Options of `masktune`."""

    tuning_epochs: PositiveInt = 1
    """Number of epochs, the last ones of all epochs, in which the model is tuned on masked images."""
    tuning_learning_rate: PositiveFloat | None = None
    """Peak learning rate of these epochs; by default that of the training."""
    deviations: NonNegativeFloat = 2.0
    """Number of standard deviations above the mean saliency of an image from which its pixels are masked."""
