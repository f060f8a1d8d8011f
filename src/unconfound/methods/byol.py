"""BYOL: from one view, what a slow copy of the network makes of the other is predicted."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.prediction import negative_cosine
from unconfound.methods.parts.heads import two_layer_head
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, TwoViewMethod
from unconfound.options.methods.two_views import BYOLOptions


@final
class BYOL(TwoViewMethod[BYOLOptions]):
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

    name = "byol"
    Options = BYOLOptions
    refuses_one = "normalises over the batch, and this batch holds one image"

    def __init__(self, encoder: Encoder, schema: Schema, options: BYOLOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        width, hidden = options.projection_features, options.hidden_features
        self.head = two_layer_head(encoder.features, width, hidden_features=hidden)
        self.predictor = two_layer_head(width, width, hidden_features=hidden)
        self.target = TargetNetwork((encoder, self.head), momentum=options.momentum, rises=True)

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        predictions = self.predictor(projections)
        targets = self.target(views)
        # The other view of each sample is half of the rows away. The mean over both directions, times 2, is their sum.
        loss = 2 * (2 + 2 * negative_cosine(predictions, targets.roll(len(views) // 2, 0)))
        return Compared(sum_over_processes(loss) / world()[1], projections, embeddings)

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.target.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))
