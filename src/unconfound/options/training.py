"""How long, how fast and on what to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    ShareBelowOne,
)

Optimizer = Literal["adamw", "sgd", "lars", "rmsprop"]
Precision = Literal["auto", "32", "bf16", "16"]
SelectBy = Literal["map_at_r", "precision_at_1"]

# Meant for a batch of 256; never scaled by the batch size or the number of devices.
DEFAULT_LEARNING_RATES = {"adamw": 1e-3, "sgd": 0.05, "lars": 0.3, "rmsprop": 1e-4}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Checked):
    """Options of the training loop."""

    epochs: PositiveInt = 100
    """Number of passes over the training data."""
    batch_size: PositiveInt | None = None
    """Number of samples per update, over all devices together; by default 256, or as many as the numbers of samples,
    classes and processes and --accumulate allow."""
    optimizer: Optimizer = "adamw"
    """Optimizer of the parameters; sgd and rmsprop have a momentum of 0.9."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate, which is never scaled by the batch size; by default 0.001 for adamw, 0.05 for sgd, 0.3 for
    lars and 0.0001 for rmsprop."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay of matrices and kernels; biases and BatchNorm have none."""
    warmup_epochs: NonNegativeFloat = 1.0
    """Number of epochs of linear warm-up (at most half of all epochs), after which the learning rate falls to 0 along a
    cosine."""
    gradient_clip: PositiveFloat | None = None
    """Largest norm of the gradient; by default gradients are not clipped."""
    accumulate: PositiveInt = 1
    """Number of batches whose gradients are averaged per update."""
    exchange: Share = 0.0
    """Share of the training images whose foreground is put on the background of another image of the batch, which needs
    masks of the foregrounds; of other data, share of the samples that get the nuisance of another sample, which
    --nuisance names. 0 leaves all as they are."""
    exchange_rim: NonNegativeInt = 0
    """Largest number of pixels by which the mask of each image is widened or narrowed at random before the exchange;
    use it where masks are not exact."""
    exchange_soft_edge: NonNegativeFloat = 0.0
    """Largest half width in pixels of the band over which a foreground fades into its new background."""
    exchange_views: Literal["both", "one"] = "both"
    """Exchange the backgrounds or nuisances of both views, independently of each other, or only of the second one;
    ignored by methods that do not compare two views."""
    ema_decay: ShareBelowOne = 0.0
    """Decay per update of the moving average of the encoder's weights that is saved in their place; 0 saves the weights
    themselves."""
    select_every: NonNegativeInt = 0
    """Number of epochs between evaluations on the validation part, after which the encoder with the best retrieval is
    kept; 0 keeps the last encoder."""
    select_by: SelectBy = "map_at_r"
    """Figure of retrieval that this encoder is selected by: map_at_r (MAP@R) or precision_at_1."""
    precision: Precision = "auto"
    """Numerical precision of the training; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    device: str = "auto"
    """Device to train on: auto (the best one available), cpu, cuda, cuda:N or mps; start with torchrun for several
    GPUs."""
    seed: NonNegativeInt = 0
    """Seed of the initial weights, the order of the samples and the random views."""
    log_every: PositiveInt = 20
    """Number of updates per row of metrics.csv."""
    checkpoint_seconds: NonNegativeFloat = 30.0
    """Minimum number of seconds between checkpoints; 0 writes one after every update."""

    @property
    def highest_learning_rate(self) -> float:
        """The stated learning rate, or the optimizer's default."""
        return DEFAULT_LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
