"""How long, how fast and on what to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    ShareBelowOne,
    within,
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
    background_folder: Path | None = None
    """Folder of photographs of any size: half of the exchanged images stand on a random crop of one of them, and not on
    the background of another image. Needs --exchange."""
    freeze_encoder: bool = False
    """Keep the encoder as it starts, and train only what the method puts behind or around it."""
    freeze_blocks: NonNegativeInt = 0
    """Number of blocks of the encoder to keep as they start, from the input on, with all that precedes them: layers of
    a transformer, residual blocks of a ResNet, convolutions of a convnet. 0 trains all."""
    layer_decay: Annotated[float, within(0, 1, closed="right")] = 1.0
    """Factor between the learning rates of each block of the encoder and the next one towards the output: of N blocks,
    block k has the rate times this to the power N + 1 - k, what precedes them to N + 1, and all else the full rate."""
    gradient_checkpointing: bool = False
    """Compute the activations within each block again in the backward pass, which saves memory and takes about a third
    longer (timm models without BatchNorm, such as vision transformers)."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze_encoder and self.freeze_blocks:
            raise ValueError(
                f"--freeze-encoder keeps all blocks, --freeze-blocks {self.freeze_blocks} some: leave one of them out"
            )

    @property
    def highest_learning_rate(self) -> float:
        """The stated learning rate, or the optimizer's default."""
        return DEFAULT_LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
