"""The options of `metric`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.options.methods.metric_settings import LOSSES, LossName, TunedOn
from unconfound.options.views import MetricViewOptions
from unconfound.suggestions import nearest_name

Implementation = Literal["auto", "ours", "published"]


@dataclass(frozen=True, kw_only=True)
class MetricOptions(MetricViewOptions):
    """Options of `metric`."""

    loss: LossName = "cosface"
    """which loss; the page on metric learning has a table of all"""
    tuned_on: TunedOn = "cub"
    """the data set whose tuned settings the loss takes"""
    features: int = 128
    """width of the embedding, a linear map of the encoder's output that is saved with it"""
    batch_norm: bool = False
    """put BatchNorm before that map"""
    instances: int | None = None
    """samples of each class in a batch; by default 4 for losses of pairs, and shuffled samples for losses of proxies"""
    margin: float | None = None
    """of the loss, in place of the tuned one (contrastive losses: of negatives; arcface: in degrees)"""
    scale: float | None = None
    """of the loss, in place of the tuned one: of similarities or distances in an exponent, 1 / temperature"""
    proxy_learning_rate: float | None = None
    """of proxies, and of a learnt boundary, in place of the tuned one, which is meant for adamw"""
    head_learning_rate: float | None = None
    """of the linear map; by default the encoder's"""
    freeze_batch_norm: bool = False
    """leave statistics, scale and shift of the encoder's BatchNorm as they are"""
    implementation: Implementation = "auto"
    """ours, published (pytorch-metric-learning), or auto: ours where there is one, which is all but fastap"""

    def __post_init__(self) -> None:
        for name, kind in (("loss", LossName), ("tuned_on", TunedOn), ("implementation", Implementation)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise ValueError(f"unknown {name} {value!r}: {nearest_name(str(value), get_args(kind))}")
        if self.features < 1:
            raise ValueError(f"features must be at least 1, got {self.features}")
        if self.instances is not None and self.instances < 1:
            raise ValueError(f"instances must be at least 1, got {self.instances}")
        if self.instances == 1 and LOSSES[self.loss].needs_pairs:
            raise ValueError(f"the loss {self.loss} pulls samples of a class together: give --instances of at least 2")
        for name in ("proxy_learning_rate", "head_learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
