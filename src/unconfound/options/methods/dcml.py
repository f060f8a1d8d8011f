"""The options of `dcml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unconfound.options.constraints import NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne
from unconfound.options.methods.metric import MetricLossOptions
from unconfound.options.methods.metric_settings import LossName

Form = Literal["code", "paper"]
EnvironmentsFrom = Literal["learnt", "random", "groups", "scenes"]
Normalization = Literal["environment", "samples"]
Solver = Literal["adam", "frank-wolfe"]


@dataclass(frozen=True, kw_only=True)
class DCMLOptions(MetricLossOptions):
    """Options of `dcml`; the defaults are those of the released code for CUB-200."""

    form: Form = "code"
    """Form of the objective: that of the released code or that of the paper's poster, which differ in every term."""
    loss: LossName = "cosface"
    """Metric loss on which environments must agree: any loss of `metric` that is a mean over samples, pairs or
    triplets."""
    environments: PositiveInt = 2
    """Number of environments to learn, each with its own attention gates; with 1, only the metric loss with gates and
    BatchNorm before the linear head is left."""
    environments_from: EnvironmentsFrom = "learnt"
    """Source of the environments. As controls they can be random, the groups of the data, or scenes, which separate
    samples on the background of their own class from the others."""
    environments_file: Path | None = None
    """The samples.parquet of an earlier run on the same samples, whose environments are used instead of learning new
    ones."""
    relearn_every: PositiveInt = 5
    """Number of epochs after which the environments are learnt anew."""
    environment_steps: PositiveInt = 1
    """Number of passes over the training samples each time that environments are learnt."""
    environment_learning_rate: PositiveFloat = 0.5
    """Learning rate of Adam for the environments' weights of the samples."""
    environment_batch: PositiveInt = 64
    """Number of samples per step when environments are learnt."""
    solver: Solver = "adam"
    """Optimizer of the environments; frank-wolfe ends at hard assignments and needs --normalization samples."""
    normalization: Normalization = "environment"
    """Normalise the weighted sum of an environment's losses by the environment's weights, or by the number of all
    samples (as in EIIL)."""
    smallest_share: ShareBelowOne = 0.0
    """Minimum share of the samples per environment when environments are learnt, below 1 / --environments; 0 sets no
    minimum, as in the paper."""
    entropy_weight: NonNegativeFloat = 0.0
    """Weight of the entropy of the environments' sizes when they are learnt, which discourages tiny environments; the
    paper has no such term."""
    irm: Literal["per_class", "scalar"] | None = None
    """Dummy classifier of the IRM penalty: one number per class or a single scalar; by default per_class for --form
    code and scalar for --form paper."""
    irm_weight: NonNegativeFloat = 1e-4
    """Weight (alpha) of the IRM penalty, the squared gradient with respect to the dummy classifier."""
    attention_weight: NonNegativeFloat = 1e-2
    """Weight (beta) of the difference between the environments' attention gates."""
    consistency_weight: NonNegativeFloat = 1e-1
    """Weight (gamma) of the distance between samples of the same class within an environment."""
    extra_branch: bool = True
    """Add the metric loss over all samples regardless of environments; with --form code this branch has its own gates
    and proxies."""
    instances: PositiveInt = 4
    """Number of samples per class in a batch."""
    attention_learning_rate: PositiveFloat | None = None
    """Peak learning rate of the attention gates; by default that of the encoder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.smallest_share < 1 / self.environments:
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
        """Whether the dummy classifier has one number per class."""
        return (self.irm or {"code": "per_class", "paper": "scalar"}[self.form]) == "per_class"
