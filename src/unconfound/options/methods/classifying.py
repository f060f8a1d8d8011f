"""The options of the methods that train a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ShareBelowOne,
    at_least,
)

Balance = Literal["none", "classes", "groups"]
Part = Literal["validation", "training"]
Penalty = Literal["l1", "l2"]


@dataclass(frozen=True, kw_only=True)
class BottleneckOptions(Checked):
    """Options of the bottleneck in front of the classifier."""

    vib: bool = False
    """Put a variational information bottleneck between the encoder and the classifier."""
    kl_weight: NonNegativeFloat = 1e-3
    """Weight of the bottleneck's Kullback-Leibler divergence (in nats, summed over its features) in the loss; only used
    with --vib. CIM's slides print 1."""
    bottleneck_features: PositiveInt = 256
    """Width of the bottleneck; only used with --vib."""


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions(BottleneckOptions):
    """Options of `supervised`."""

    augment: bool = False
    """Train on two augmented views (SimCLR's) of every image instead of the image itself."""
    label_smoothing: ShareBelowOne = 0.0
    """Share of the target probability that is spread evenly over all classes."""
    balance: Balance = "none"
    """Draw samples with replacement, so that all classes, or all groups (which must be known), are equally frequent."""


@dataclass(frozen=True, kw_only=True)
class SCLOptions(Checked):
    """Options of `scl`."""

    contrast_weight: NonNegativeFloat = 1.0
    """Weight of the supervised contrastive loss relative to the cross-entropy."""
    temperature: PositiveFloat = 0.1
    """Temperature of the softmax over similarities."""
    projection_features: PositiveInt = 128
    """Width of the projections that the contrastive loss compares."""
    augment: bool = False
    """Train on two augmented views (SimCLR's) of every image, which are positives of each other, instead of the image
    itself."""


@dataclass(frozen=True, kw_only=True)
class GroupDROOptions(Checked):
    """Options of `group-dro`."""

    step_size: NonNegativeFloat = 0.01
    """Step size of the group weights; larger steps make them follow the group losses faster."""
    adjustment: NonNegativeFloat = 0.0
    """Constant C of the adjustment C / sqrt(n) that is added to the loss of a group of n training samples when the
    group weights are updated."""
    balanced: bool = True
    """Draw samples with replacement, so that all groups are equally frequent."""


@dataclass(frozen=True, kw_only=True)
class IRMOptions(Checked):
    """Options of `irm`."""

    penalty_weight: NonNegativeFloat = 1e4
    """Weight of the invariance penalty after the first epochs; DomainBed uses 100."""
    penalty_anneal_epochs: NonNegativeInt = 1
    """Number of initial epochs in which the penalty has a weight of 1, so that the model fits the data first."""
    balanced: bool = True
    """Draw samples with replacement, so that all environments are equally frequent."""


@dataclass(frozen=True, kw_only=True)
class JTTOptions(Checked):
    """Options of `jtt`."""

    identification_epochs: PositiveInt = 1
    """Number of epochs, out of all epochs, to train the first model, whose errors are upweighted for the second."""
    upweight: Annotated[float, at_least(1)] = 20.0
    """Factor by which samples that the first model misclassifies are drawn more often than others."""


@dataclass(frozen=True, kw_only=True)
class DFROptions(Checked):
    """Options of `dfr`."""

    refit_on: Part = "validation"
    """Samples that the last layer is refitted on; validation falls back to the training samples where there are no
    validation samples with known groups."""
    penalty: Penalty = "l1"
    """Penalty of the logistic regressions; the paper uses l1."""
    inverse_strengths: tuple[PositiveFloat, ...] = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
    """Inverse strengths of the penalty to choose from, by the accuracy of the worst group on a held-out half."""
    draws: PositiveInt = 10
    """Number of group-balanced subsets whose regressions are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inverse_strengths:
            raise ValueError("inverse_strengths must be at least one number, got none")
