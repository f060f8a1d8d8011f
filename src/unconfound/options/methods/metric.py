"""The options of `metric`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unconfound.options.constraints import PositiveFloat, PositiveInt
from unconfound.options.methods.metric_settings import LOSSES, LossName, TunedOn
from unconfound.options.views import MetricViewOptions

Implementation = Literal["auto", "ours", "published"]


@dataclass(frozen=True, kw_only=True)
class MetricLossOptions(MetricViewOptions):
    """Options of a metric loss, and of the embedding and the views that it is minimised on."""

    loss: LossName = "cosface"
    """Metric loss to minimise; the documentation of metric learning has a table of all of them."""
    tuned_on: TunedOn = "cub"
    """Data set whose tuned settings of the loss are used."""
    scale: PositiveFloat | None = None
    """Factor of similarities or distances in an exponent of the loss (1 / temperature), instead of the tuned one."""
    margin: float | None = None
    """Margin of the loss, instead of the tuned one: that of negatives for contrastive losses, in degrees for
    arcface."""
    proxy_learning_rate: PositiveFloat | None = None
    """Peak learning rate of the proxies, or of a learnt boundary, instead of the tuned one, which is meant for
    adamw."""
    features: PositiveInt = 128
    """Width of the embedding, a linear map of the encoder's output that is saved with the encoder."""
    freeze_batch_norm: bool = False
    """Keep the statistics, scales and shifts of the encoder's BatchNorm layers unchanged, as is usual with published
    weights."""


@dataclass(frozen=True, kw_only=True)
class MetricOptions(MetricLossOptions):
    """Options of `metric`."""

    batch_norm: bool = False
    """Put BatchNorm before the linear map."""
    instances: PositiveInt | None = None
    """Number of samples per class in a batch; by default 4 for losses of pairs, while losses of proxies take shuffled
    samples."""
    head_learning_rate: PositiveFloat | None = None
    """Peak learning rate of the linear map; by default that of the encoder."""
    implementation: Implementation = "auto"
    """Implementation of the loss: ours, published (pytorch-metric-learning), or auto, which takes ours for every loss
    but fastap."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.instances == 1 and LOSSES[self.loss].needs_pairs:
            raise ValueError(f"the loss {self.loss} pulls samples of a class together: give --instances of at least 2")
