"""W-MSE: two views of an image agree after the batch is whitened."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.whitening import slicing_orders, w_mse
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import WMSEOptions


@final
class WMSE(TwoViewMethod[WMSEOptions]):
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

    name = "w-mse"
    Options = WMSEOptions
    refuses_one = None

    def __init__(self, encoder: Encoder, schema: Schema, options: WMSEOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = expander(encoder.features, self.options)

    def compare(self, views: Tensor) -> Compared:
        options = self.options
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(projections)
        orders = slicing_orders(len(first), options.iterations, device=first.device)
        loss = w_mse(first, second, size=options.sub_batch_size, orders=orders, shrinkage=options.shrinkage)
        return Compared(loss, projections, embeddings)
