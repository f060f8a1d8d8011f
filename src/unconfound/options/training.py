"""How long, how fast and on what to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.suggestions import nearest_name

Optimizer = Literal["adamw", "sgd", "lars", "rmsprop"]
Precision = Literal["auto", "32", "bf16", "16"]
SelectBy = Literal["map_at_r", "precision_at_1"]

# Meant for a batch of 256; never scaled by the batch size or the number of devices.
DEFAULT_LEARNING_RATES = {"adamw": 1e-3, "sgd": 0.05, "lars": 0.3, "rmsprop": 1e-4}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of the training loop."""

    epochs: int = 100
    """passes over the training data"""
    batch_size: int | None = None
    """samples per update, over all devices together; by default 256, or as many as samples, classes,
    processes and --accumulate allow"""
    optimizer: Optimizer = "adamw"
    """AdamW, SGD with momentum 0.9, LARS, or RMSprop with momentum 0.9"""
    learning_rate: float | None = None
    """highest learning rate at the stated batch size, never scaled; by default 0.001 (adamw), 0.05 (sgd), 0.3
    (lars), 0.0001 (rmsprop)"""
    weight_decay: float = 1e-4
    """decay of matrices and kernels; biases and BatchNorm have none"""
    warmup_epochs: float = 1.0
    """epochs of linear warm-up; after it the learning rate falls along a cosine to 0; at most half of all epochs"""
    gradient_clip: float | None = None
    """largest norm of the gradient; no clipping by default"""
    accumulate: int = 1
    """batches whose gradients are averaged before an update"""
    ema_decay: float = 0.0
    """decay per update of the moving average of the encoder's weights that is saved in their place; 0 is off"""
    select_every: int = 0
    """epochs between looks at the validation part; the encoder that retrieves best on it is kept; 0 keeps the last"""
    select_by: SelectBy = "map_at_r"
    """what that encoder is chosen by: map_at_r (MAP@R) or precision_at_1"""
    precision: Precision = "auto"
    """auto is bf16 (mixed) where the hardware gains from it, else 32"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps; several GPUs by torchrun"""
    seed: int = 0
    """seed of weights, order and views"""
    log_every: int = 20
    """steps between rows of metrics.csv"""
    checkpoint_seconds: float = 30.0
    """least time between checkpoints; 0 makes one at every step"""

    def __post_init__(self) -> None:
        lowest: dict[str, float] = {"epochs": 1, "accumulate": 1, "log_every": 1, "seed": 0}
        lowest |= {"warmup_epochs": 0, "weight_decay": 0, "checkpoint_seconds": 0, "select_every": 0}
        for name, least in lowest.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("batch_size", "learning_rate", "gradient_clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name, kind in (("optimizer", Optimizer), ("precision", Precision), ("select_by", SelectBy)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise ValueError(f"unknown {name} {value!r}: {nearest_name(str(value), get_args(kind))}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}")

    @property
    def highest_learning_rate(self) -> float:
        """The stated learning rate, or the optimizer's default."""
        return DEFAULT_LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
