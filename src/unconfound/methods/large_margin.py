"""Large-margin contrast: NT-Xent in which a positive has to lead by a margin."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.margin import large_margin_nt_xent
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import LargeMarginOptions


@final
class LargeMargin(TwoViewMethod[LargeMarginOptions]):
    """Two views of an image are closer than those of different images, by a margin. Needs no labels.

    Meant for the row "LMCL" in the table of ICL-MSR, of which the paper is not certain, nor are its settings. The one
    of that name is Chen et al., "Large-Margin Contrastive Learning with Distance Polarization Regularizer" (ICML 2021),
    which adds a regularizer of pairwise distances to a contrastive loss; this is not here. What is here is the other
    published form that goes by these words, CosFace's "large margin cosine loss" (Wang et al., CVPR 2018) carried over
    to NT-Xent: the margin is taken off the cosine of the positive (see `large_margin_nt_xent`).

    All else is `simclr`, and margin=0 is just that. A batch of one image has no negatives, and is refused.
    """

    name = "large-margin"
    Options = LargeMarginOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: LargeMarginOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = projection_head(
            encoder.features, self.options.projection_features, layers=self.options.projection_layers
        )

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(projections)
        loss = large_margin_nt_xent(first, second, margin=self.options.margin, temperature=self.options.temperature)
        return Compared(loss, projections, embeddings)
