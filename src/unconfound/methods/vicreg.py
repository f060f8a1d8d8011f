"""VICReg: views agree, each feature varies over a batch, and no two features vary together."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.redundancy import vicreg
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import VICRegOptions


@final
class VICReg(TwoViewMethod[VICRegOptions]):
    """Two views of an image have equal projections, whose features each vary over the batch and not together.

    Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022.
    Needs no labels, no negatives and no target network. The three terms are logged without their weights. The paper's
    head is 8192 wide in its three layers; our default is meant for small images. Its views are also solarised.

    A batch of one image has no variance, and is refused. Embeddings that are all equal are no way out: the variance
    term is then at its highest, 0.99, though its gradient is 0 there.
    """

    name = "vicreg"
    Options = VICRegOptions
    refuses_one = None

    def __init__(self, encoder: Encoder, schema: Schema, options: VICRegOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = expander(encoder.features, self.options)

    def compare(self, views: Tensor) -> Compared:
        options = self.options
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(projections)
        loss, *terms = vicreg(
            first,
            second,
            invariance=options.invariance,
            variance=options.variance,
            covariance=options.covariance,
        )
        names = ("invariance", "variance", "covariance")
        scalars = {name: term.detach() for name, term in zip(names, terms, strict=True)}
        return Compared(loss, projections, embeddings, scalars)
