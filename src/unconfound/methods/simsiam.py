"""SimSiam: from one view, the projection of the other is predicted, which gets no gradient."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.prediction import negative_cosine
from unconfound.methods.parts.heads import projection_head, two_layer_head
from unconfound.methods.parts.two_views import Compared, TwoViewMethod
from unconfound.options.methods.two_views import SimSiamOptions


@final
class SimSiam(TwoViewMethod[SimSiamOptions]):
    """From each view the projection of the other, which gets no gradient, is predicted. Needs no labels or negatives.

    Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021, equation 4 with the widths and, by
    default, the two layers of its head for CIFAR-10 (three for ImageNet). BatchNorm stands on every layer of the head,
    the last without weight and bias, as in the authors' code. Both views go through the network in one pass, so that
    BatchNorm's statistics are of both; the paper takes one after the other. The paper keeps the predictor's learning
    rate constant, here it follows the schedule of all.

    The loss goes from 1 to -1, and is at its best also where all embeddings are equal: it does not tell of collapse,
    the alarm of the training loop does. What prevents it is the stop-gradient together with the predictor. BatchNorm
    has no use for a batch of one image, whose two views it would make opposites, and such a batch is refused.
    """

    name = "simsiam"
    Options = SimSiamOptions
    refuses_one = "normalises over the batch, and this batch holds one image"

    def __init__(self, encoder: Encoder, schema: Schema, options: SimSiamOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        width = options.projection_features
        self.head = projection_head(
            encoder.features, width, layers=options.projection_layers, hidden_features=width, scale_last=False
        )
        self.predictor = two_layer_head(width, width, hidden_features=options.predictor_features)

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        predictions = self.predictor(projections)
        # The other view of each sample is half of the rows away; the mean is that over both directions, too.
        loss = negative_cosine(predictions, projections.detach().roll(len(views) // 2, 0))
        return Compared(sum_over_processes(loss) / world()[1], projections, embeddings)
