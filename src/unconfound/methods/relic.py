"""RELIC: samples are told apart, by the same distribution over candidates whichever the view."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.relation import relic
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import RELICOptions


@final
class RELIC(TwoViewMethod[RELICOptions]):
    """InfoNCE against a target network, invariant to which view asks and which answers. Needs no labels.

    Mitrovic et al., "Representation Learning via Invariant Causal Mechanisms", ICLR 2021. Each view of a sample is
    compared with what the target network makes of the other view of all samples. The paper allows the candidates to
    come from the network that learns or from a target; we take a target. Head and views are SimCLR's, the schedule
    of the momentum BYOL's.

    Negatives keep embeddings apart: where all are equal, the loss is the logarithm of the number of samples. A batch of
    one image has no negatives, and is refused.
    """

    name = "relic"
    Options = RELICOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: RELICOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.target = TargetNetwork((encoder, self.head), momentum=options.momentum, rises=True)

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(projections)
        first_keys, second_keys = gathered(self.target(views))
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
        self.target.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))
