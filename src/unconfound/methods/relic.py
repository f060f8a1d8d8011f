"""RELIC: samples are told apart, by the same distribution over candidates whichever the view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.relation import relic
from unconfound.methods.contrast import ContrastOptions
from unconfound.methods.heads import projection_head
from unconfound.methods.host import Compared
from unconfound.methods.method import Method, Step
from unconfound.methods.target import TargetNetwork, cosine_momentum
from unconfound.views import ImageViewOptions, image_views


@dataclass(frozen=True, kw_only=True)
class RELICOptions(ImageViewOptions, ContrastOptions):
    """Options of `relic`."""

    projection_layers: int = 2
    """layers of the projection head"""
    invariance_weight: float = 1.0
    """of the divergence between the two views' distributions; 0 or above"""
    momentum: float = 0.99
    """of the target network, which follows the other; 0 to 1, rising from here to 1 along half a cosine"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.invariance_weight >= 0:
            raise ValueError(f"invariance_weight must be 0 or above, got {self.invariance_weight}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")


@final
class RELIC(Method):
    """InfoNCE against a target network, invariant to which view asks and which answers. Needs no labels.

    Mitrovic et al., "Representation Learning via Invariant Causal Mechanisms", ICLR 2021. Each view of a sample is
    compared with what the target network makes of the other view of all samples. The paper allows the candidates to
    come from the network that learns or from a target; we take a target. Head and views are SimCLR's, the schedule
    of the momentum BYOL's.

    Negatives keep embeddings apart: where all are equal, the loss is the logarithm of the number of samples. A batch of
    one image has no negatives, and is refused.
    """

    Options = RELICOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: RELICOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or RELICOptions()
        self.views = image_views(options, schema, method="relic")
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.target = TargetNetwork((encoder, self.head))
        self.done = 0.0

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(self.two_views(batch)).step()

    def two_views(self, batch: Batch) -> Tensor:
        return self.views(cast(Tensor, batch.inputs))

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = (gather(each) for each in projections.chunk(2))
        if len(first) < 2:
            raise ValueError("relic tells the samples of a batch apart, and this batch holds one: use at least two")
        with torch.no_grad():
            first_keys, second_keys = (gather(each) for each in self.target(views).detach().chunk(2))
        loss = relic(
            first,
            second,
            first_keys,
            second_keys,
            temperature=self.options.temperature,
            weight=self.options.invariance_weight,
        )
        return Compared(loss, projections, embeddings)

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head), cosine_momentum(self.options.momentum, self.done))
