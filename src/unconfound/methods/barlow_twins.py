"""Barlow Twins: each feature agrees over two views, and tells nothing of the other features."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.redundancy import barlow_twins
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import BarlowTwinsOptions


@final
class BarlowTwins(TwoViewMethod[BarlowTwinsOptions]):
    """Each feature of the projection agrees over two views of an image and is uncorrelated with the others.

    Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021. Needs no labels, no
    negatives and no target network. The paper's head is 8192 wide in its three layers, and its results keep improving
    with the width; our default is meant for small images. Its two views are drawn alike here; the paper blurs and
    solarises one more than the other.

    A batch of one image has no correlations, and is refused. Embeddings that are all equal are no way out: the loss is
    then the number of features, far above what is learnt, though its gradient is 0 there.
    """

    name = "barlow-twins"
    Options = BarlowTwinsOptions
    refuses_one = None

    def __init__(self, encoder: Encoder, schema: Schema, options: BarlowTwinsOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = expander(encoder.features, self.options)

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(projections)
        loss = barlow_twins(first, second, off_diagonal_weight=self.options.off_diagonal_weight)
        return Compared(loss, projections, embeddings)
