"""SSL-HSIC: embeddings depend on which image a view is of, and vary little otherwise."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.dependence import ssl_hsic
from unconfound.methods.parts.heads import projection_head, two_layer_head
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import SSLHSICOptions


@final
class SSLHSIC(TwoViewMethod[SSLHSICOptions]):
    """Maximise what views tell of their image, less the root of their own variance. Needs no labels.

    Li et al., "Self-Supervised Learning with Kernel Dependence Maximization", NeurIPS 2021, with its target network:
    as in the authors' code, each image has four views, the predictions of both by what learns and the projections of
    both by the target, which get no gradient. The kernel is computed exactly, where the paper approximates it by random
    features, and keeps its scale, where the paper learns it (see `ssl_hsic`). Head and views are SimCLR's, predictor
    and schedule of the momentum BYOL's.

    Where all embeddings are equal, the loss is 0; it falls below. A batch of one image has nothing that its views could
    depend on, and is refused.
    """

    name = "ssl-hsic"
    Options = SSLHSICOptions
    refuses_one = "tells the images of a batch apart, and this batch holds one"

    def __init__(self, encoder: Encoder, schema: Schema, options: SSLHSICOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        width = options.projection_features
        self.head = projection_head(encoder.features, width, layers=options.projection_layers)
        self.predictor = two_layer_head(width, width, hidden_features=encoder.features)
        self.target = TargetNetwork((encoder, self.head), momentum=options.momentum, rises=True)

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        hidden = [*gathered(self.predictor(projections)), *gathered(self.target(views))]
        loss = ssl_hsic(
            torch.stack(hidden),
            kernel=self.options.kernel,
            scale=self.options.kernel_scale,
            weight=self.options.variance_weight,
            unbiased=self.options.unbiased,
        )
        return Compared(loss, projections, embeddings)

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.target.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))
