"""SimCLR: two augmented views of an image attract, views of different images repel."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.contrast import contrast
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.host import Compared
from unconfound.options.methods.simclr import SimCLROptions
from unconfound.views import image_views


@final
class SimCLR(Method):
    """Two augmented views of an image attract, those of different images repel. Needs no labels.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

    The head is that of the authors' code: BatchNorm on every layer, no bias. The views' defaults are W-MSE's and the
    ICL-MSR protocol's for CIFAR-10 (no blur, jitter of strength 0.4 with hue 0.1), with grayscale at SimCLR's 0.2.
    A batch of one image has no negatives, and is refused.
    """

    Options = SimCLROptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SimCLROptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SimCLROptions()
        self.views = image_views(options, schema, method="simclr")
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(self.two_views(batch)).step()

    def two_views(self, batch: Batch) -> Tensor:
        return self.views(cast(Tensor, batch.inputs))

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        loss = contrast(projections, temperature=self.options.temperature, method="simclr")
        return Compared(loss, projections, embeddings)
