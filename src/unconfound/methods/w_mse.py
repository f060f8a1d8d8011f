"""W-MSE: two views of an image agree after the batch is whitened."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.whitening import slicing_orders, w_mse
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.host import Compared
from unconfound.options.methods.w_mse import WMSEOptions
from unconfound.views import image_views


@final
class WMSE(Method):
    """Two views of an image have projections in the same direction, once those of a batch are whitened.

    Ermolov et al., "Whitening for Self-Supervised Representation Learning", ICML 2021, with two positives an image
    (W-MSE 2). Needs no labels, no negatives and no target network.

    The batch is cut into sub-batches by permutations that never change (`slicing_orders`), in place of the paper's
    random ones: batches arrive in random order, so that sub-batches hold random images all the same, and the loss is a
    function of the views alone, with no state to save and no generator that processes have to share.

    The paper whitens exactly, shrinkage=0, which fails where a sub-batch spans less than all features: with small
    batches, or an encoder that is narrower than the projections. Our default allows these. It is small, because
    features that vary by less than it escape the whitening, which alone stands against a collapse. Embeddings that are
    all equal have the loss 2, that of views without relation, and with shrinkage=0 an error. A batch of one image
    cannot be whitened, and is refused.
    """

    Options = WMSEOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: WMSEOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or WMSEOptions()
        self.views = image_views(options, schema, method="w-mse")
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
        orders = slicing_orders(len(first), options.iterations, device=first.device)
        loss = w_mse(first, second, size=options.sub_batch_size, orders=orders, shrinkage=options.shrinkage)
        return Compared(loss, projections, embeddings)
