"""BYOL: from one view, what a slow copy of the network makes of the other is predicted."""

from __future__ import annotations

from typing import cast, final

import torch
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.prediction import negative_cosine
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import two_layer_head
from unconfound.methods.parts.host import Compared
from unconfound.methods.parts.target import TargetNetwork, cosine_momentum
from unconfound.options.methods.byol import BYOLOptions
from unconfound.views import image_views


@final
class BYOL(Method):
    """From each view, what a target network makes of the other view is predicted. Needs no labels or negatives.

    Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020. The loss is
    the paper's: 2 - 2 cos(prediction, target), the sum over both directions. Hidden width and first momentum are those
    of the W-MSE and ICL-MSR protocol for CIFAR-10 (the paper has 4096 and 0.996 for ImageNet); both views are drawn
    alike, where the paper solarizes one. Both views go through each network in one pass, so that BatchNorm's statistics
    are of both; the paper takes one after the other.

    The loss goes from 0 to 8, and is 0 also where all embeddings are equal: it does not tell of collapse, the alarm of
    the training loop does. What prevents it is that the target gets no gradient and lags behind, and that the
    predictor comes between. BatchNorm has no use for a batch of one image, whose two views it would make opposites, and
    such a batch is refused.
    """

    Options = BYOLOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: BYOLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or BYOLOptions()
        self.views = image_views(options, schema, method="byol")
        self.encoder = encoder
        width, hidden = options.projection_features, options.hidden_features
        self.head = two_layer_head(encoder.features, width, hidden_features=hidden)
        self.predictor = two_layer_head(width, width, hidden_features=hidden)
        self.target = TargetNetwork((encoder, self.head))
        self.done = 0.0

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(self.two_views(batch)).step()

    def two_views(self, batch: Batch) -> Tensor:
        return self.views(cast(Tensor, batch.inputs))

    def compare(self, views: Tensor) -> Compared:
        processes = world()[1]
        if len(views) * processes < 4:
            raise ValueError("byol normalises over the batch, and this batch holds one image: use at least two")
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        predictions = self.predictor(projections)
        with torch.no_grad():
            targets = self.target(views).detach()
        # The other view of each sample is half of the rows away. The mean over both directions, times 2, is their sum.
        loss = 2 * (2 + 2 * negative_cosine(predictions, targets.roll(len(views) // 2, 0)))
        return Compared(sum_over_processes(loss) / processes, projections, embeddings)

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head), cosine_momentum(self.options.momentum, self.done))
