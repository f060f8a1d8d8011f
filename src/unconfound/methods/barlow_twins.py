"""Barlow Twins: each feature agrees over two views, and tells nothing of the other features."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.redundancy import barlow_twins
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.host import Compared
from unconfound.options.methods.barlow_twins import BarlowTwinsOptions
from unconfound.views import image_views


@final
class BarlowTwins(Method):
    """Each feature of the projection agrees over two views of an image and is uncorrelated with the others.

    Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021. Needs no labels, no
    negatives and no target network. The paper's head is 8192 wide in its three layers, and its results keep improving
    with the width; our default is meant for small images. Its two views are drawn alike here; the paper blurs and
    solarises one more than the other.

    A batch of one image has no correlations, and is refused. Embeddings that are all equal are no way out: the loss is
    then the number of features, far above what is learnt, though its gradient is 0 there.
    """

    Options = BarlowTwinsOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: BarlowTwinsOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or BarlowTwinsOptions()
        self.views = image_views(options, schema, method="barlow-twins")
        self.encoder = encoder
        self.head = expander(encoder.features, options)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(self.two_views(batch)).step()

    def two_views(self, batch: Batch) -> Tensor:
        return self.views(cast(Tensor, batch.inputs))

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = (gather(rows) for rows in projections.chunk(2))
        loss = barlow_twins(first, second, off_diagonal_weight=self.options.off_diagonal_weight)
        return Compared(loss, projections, embeddings)
