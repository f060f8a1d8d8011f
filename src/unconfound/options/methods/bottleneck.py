"""The options of `bottleneck`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BottleneckOptions:
    """Of the bottleneck in front of the classifier."""

    vib: bool = False
    """put a variational information bottleneck between encoder and classifier"""
    kl_weight: float = 1e-3
    """with --vib: of the divergence (nats, summed over the bottleneck) in the loss, at least 0; CIM's slides print 1"""
    bottleneck_features: int = 256
    """with --vib: width of the bottleneck"""

    def __post_init__(self) -> None:
        if not self.kl_weight >= 0:
            raise ValueError(f"kl_weight must be at least 0, got {self.kl_weight}")
        if self.bottleneck_features < 1:
            raise ValueError(f"bottleneck_features must be at least 1, got {self.bottleneck_features}")
