"""SimCLR: two augmented views of an image attract, views of different images repel."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import SimCLROptions


@final
class SimCLR(TwoViewMethod[SimCLROptions]):
    """Two augmented views of an image attract, those of different images repel. Needs no labels.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

    The head is that of the authors' code: BatchNorm on every layer, no bias. The views' defaults are W-MSE's and the
    ICL-MSR protocol's for CIFAR-10 (no blur, jitter of strength 0.4 with hue 0.1), with grayscale at SimCLR's 0.2.
    A batch of one image has no negatives, and is refused.
    """

    name = "simclr"
    Options = SimCLROptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SimCLROptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = projection_head(
            encoder.features, self.options.projection_features, layers=self.options.projection_layers
        )

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        loss = nt_xent(*gathered(projections), temperature=self.options.temperature)
        return Compared(loss, projections, embeddings)
