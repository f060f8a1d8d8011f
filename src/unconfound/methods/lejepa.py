"""LeJEPA: all views predict the mean of the global ones, and projections are held to a normal distribution."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.gaussianity import random_directions, sigreg
from unconfound.functional.prediction import mean_view_prediction
from unconfound.methods.parts.expander import expander
from unconfound.methods.parts.multi_crop import MultiCropMethod
from unconfound.methods.parts.two_views import Compared
from unconfound.options.methods.multi_crop import LeJEPAOptions


@final
class LeJEPA(MultiCropMethod[LeJEPAOptions]):
    """Views predict the mean of the large ones, and projections are held to a normal distribution. Needs no labels.

    Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", arXiv
    2511.08544, 2025. With the trade-off w, the loss is (1 - w) `mean_view_prediction` + w `sigreg`, the latter the mean
    over views, each by the batch of all processes. There is no target network, no predictor and no stop-gradient. The
    trade-off, two large and eight small views, 17 points from -5 to 5 are what the paper recommends. It has 1,024
    directions where we have the 256 of its listing; they are drawn from the number of the update, as there.

    For networks other than transformers, the paper takes large views alone and predicts the mean of all of them:
    `predicted` "all" with `local_size` and `local_scale` those of the large views. Its views are also blurred and
    solarised. The head, of which it says little, has the paper's layers in the width of small images.

    SIGReg has the number N of images as a factor, as the statistic does: normal projections have about 1.06 at any N,
    and those that are all 0 have 0.41 N. To collapse is no way to a low loss, and the less so, the larger the batch;
    the paper recommends 128 and more. Of a batch of one image BatchNorm has no variance, and such a batch is refused.
    """

    name = "lejepa"
    Options = LeJEPAOptions
    refuses_one = "normalises over the batch, and this batch holds one image"

    updates: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: LeJEPAOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.head = expander(encoder.features, self.options)
        self.register_buffer("updates", torch.tensor(0))

    def compare(self, views: Tensor, local: Tensor | None = None) -> Compared:
        options = self.options
        embeddings = self.embed(views, local)
        projections = self.head(embeddings)
        rows = projections.unflatten(0, (-1, len(views) // 2))
        prediction = mean_view_prediction(rows, predicted=len(rows) if options.predicted == "all" else 2)
        prediction = sum_over_processes(prediction) / world()[1]
        # From the number of the update: the same in all processes, and where a run goes on.
        generator = torch.Generator().manual_seed(int(self.updates))
        directions = random_directions(options.projection_features, options.slices, generator=generator)
        directions = directions.to(rows.device, non_blocking=True)
        apart = sigreg(rows, directions, points=options.points, limit=options.integration_limit).mean()
        loss = (1 - options.trade_off) * prediction + options.trade_off * apart
        scalars = {"prediction": prediction.detach(), "sigreg": apart.detach()}
        return Compared(loss, projections[: len(views)], embeddings[: len(views)], scalars)

    def after_update(self) -> None:
        self.updates.add_(1)
