"""W-MSE: two views of an image agree after the batch is whitened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.whitening import slicing_orders, w_mse
from unconfound.methods.expander import ExpanderOptions, expander
from unconfound.methods.host import Compared
from unconfound.methods.method import Method, Step
from unconfound.views import ImageViewOptions, image_views


@dataclass(frozen=True, kw_only=True)
class WMSEOptions(ImageViewOptions, ExpanderOptions):
    """Options of `w-mse`."""

    projection_features: int = 64
    """width of the projections that are whitened and compared"""
    hidden_features: int = 1024
    """width of the head's layers before the last"""
    projection_layers: int = 2
    """layers of the head"""
    sub_batch_size: int = 128
    """images that are whitened at a time, at least; twice the width of the projections or more"""
    iterations: int = 1
    """times that the batch is cut into sub-batches and whitened; at least 1"""
    shrinkage: float = 1e-4
    """share of the identity in the covariance, from 0 (as published) to below 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("sub_batch_size", 2), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.shrinkage < 1:
            raise ValueError(f"shrinkage must be from 0 to below 1, got {self.shrinkage}")
        if self.shrinkage == 0 and self.sub_batch_size <= self.projection_features:
            raise ValueError(
                f"without shrinkage sub_batch_size must be above projection_features, {self.projection_features}, "
                f"got {self.sub_batch_size}"
            )


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
