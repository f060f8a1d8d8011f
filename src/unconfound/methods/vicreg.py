"""VICReg: views agree, each feature varies over a batch, and no two features vary together."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.redundancy import vicreg
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.host import Compared
from unconfound.options.methods.vicreg import VICRegOptions
from unconfound.views import image_views


@final
class VICReg(Method):
    """Two views of an image have equal projections, whose features each vary over the batch and not together.

    Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022.
    Needs no labels, no negatives and no target network. The three terms are logged without their weights. The paper's
    head is 8192 wide in its three layers; our default is meant for small images. Its views are also solarised.

    A batch of one image has no variance, and is refused. Embeddings that are all equal are no way out: the variance
    term is then at its highest, 0.99, though its gradient is 0 there.
    """

    Options = VICRegOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: VICRegOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or VICRegOptions()
        self.views = image_views(options, schema, method="vicreg")
        self.encoder = encoder
        self.head = expander(encoder.features, options)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(self.two_views(batch)).step()

    def two_views(self, batch: Batch) -> Tensor:
        return self.views(cast(Tensor, batch.inputs))

    def compare(self, views: Tensor) -> Compared:
        options = self.options
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = (gather(rows) for rows in projections.chunk(2))
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
