"""The options of `dcml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from unconfound.options.methods.metric_settings import LossName, TunedOn
from unconfound.options.views import MetricViewOptions
from unconfound.suggestions import nearest_name

Form = Literal["code", "paper"]
EnvironmentsFrom = Literal["learnt", "random", "groups", "scenes"]
Normalization = Literal["environment", "samples"]
Solver = Literal["adam", "frank-wolfe"]


@dataclass(frozen=True, kw_only=True)
class DCMLOptions(MetricViewOptions):
    """Options of `dcml`; the defaults are the released code's for CUB-200."""

    form: Form = "code"
    """code: the loss of the released code; paper: that of the paper's poster. They differ in all terms"""
    loss: LossName = "cosface"
    """the loss under which environments must agree: one of `metric` that is a mean over samples, pairs or triplets"""
    tuned_on: TunedOn = "cub"
    """the data set whose tuned settings the loss takes"""
    scale: float | None = None
    """of the loss, as in `metric`"""
    margin: float | None = None
    """of the loss, as in `metric`"""
    features: int = 128
    """width of the embedding"""
    environments: int = 2
    """how many are learnt, each with gates of its own; 1 leaves the loss with gates and BatchNorm before the head"""
    environments_from: EnvironmentsFrom = "learnt"
    """learnt; or as controls: random, the data's groups, or scenes (on the own class's or another's)"""
    environments_file: Path | None = None
    """samples.parquet of an earlier run on the same samples: its environments are taken as they are, none are learnt"""
    relearn_every: int = 5
    """epochs after which environments are learnt anew"""
    environment_steps: int = 1
    """passes over the training samples each time they are learnt"""
    environment_learning_rate: float = 0.5
    """of Adam on the environments' weights"""
    environment_batch: int = 64
    """samples of a step of it"""
    solver: Solver = "adam"
    """adam; or frank-wolfe, which ends at hard assignments and needs --normalization samples"""
    normalization: Normalization = "environment"
    """an environment's loss is a mean over its own weights, or (EIIL's) a sum over them divided by all samples"""
    smallest_share: float = 0.0
    """of the samples that an environment keeps at least when it is learnt; 0 leaves it free, as the paper does"""
    entropy_weight: float = 0.0
    """of the entropy of the environments' sizes when they are learnt, against tiny ones; the paper has none"""
    irm: Literal["per_class", "scalar"] | None = None
    """the dummy classifier: a number a class (code), or one for all (paper); by default that of the form"""
    irm_weight: float = 1e-4
    """alpha: of the squared gradient by the dummy classifier"""
    attention_weight: float = 1e-2
    """beta: of how much the environments' gates differ"""
    consistency_weight: float = 1e-1
    """gamma: of how far samples of a class lie apart within an environment"""
    extra_branch: bool = True
    """a loss without environments beside those with; code: with gates and proxies of its own"""
    instances: int = 4
    """samples of a class in a batch"""
    proxy_learning_rate: float | None = None
    """highest learning rate of the proxies, in place of the tuned one, as in `metric`"""
    attention_learning_rate: float | None = None
    """highest learning rate of the gates; by default that of all"""
    freeze_batch_norm: bool = False
    """keep the network's BatchNorm as its weights came, as is done with published ones"""

    def __post_init__(self) -> None:
        least: dict[str, float] = {"features": 1, "environments": 1, "relearn_every": 1, "environment_steps": 1}
        least |= {"environment_batch": 1, "instances": 1, "entropy_weight": 0}
        least |= {"irm_weight": 0, "attention_weight": 0, "consistency_weight": 0}
        for name, lowest in least.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        kinds = (("form", Form), ("environments_from", EnvironmentsFrom), ("normalization", Normalization))
        for name, kind in (*kinds, ("solver", Solver), ("loss", LossName), ("tuned_on", TunedOn)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise ValueError(f"unknown {name} {value!r}: {nearest_name(str(value), get_args(kind))}")
        for name in ("environment_learning_rate", "proxy_learning_rate", "attention_learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        if not 0 <= self.smallest_share < 1 / self.environments:
            raise ValueError(
                f"smallest_share must be at least 0 and below 1 / environments = {1 / self.environments:.3g}, "
                f"got {self.smallest_share}"
            )
        if self.solver == "frank-wolfe" and (
            self.normalization != "samples" or self.smallest_share or self.entropy_weight
        ):
            raise ValueError(
                "frank-wolfe climbs only where losses are divided by all samples, which rewards no tiny environments: "
                "give --normalization samples, and neither --smallest-share nor --entropy-weight"
            )

    @property
    def per_class(self) -> bool:
        """Whether the dummy classifier has a number a class."""
        return (self.irm or {"code": "per_class", "paper": "scalar"}[self.form]) == "per_class"
