"""The options of the bottleneck in front of a classifier."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import Checked, NonNegativeFloat, PositiveInt


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
