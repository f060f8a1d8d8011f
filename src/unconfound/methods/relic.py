"""RELIC: samples are told apart, by the same distribution over candidates whichever the view."""

from __future__ import annotations

from typing import cast, final

import torch
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.relation import relic
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.host import Compared
from unconfound.methods.parts.target import TargetNetwork, cosine_momentum
from unconfound.options.methods.relic import RELICOptions
from unconfound.views import image_views


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
