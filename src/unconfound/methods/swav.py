"""SwAV: the assignment of one view to prototypes is predicted from the other view."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.similarity import normalize
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.multi_crop import MultiCropMethod, gathered_views
from unconfound.methods.parts.two_views import Compared
from unconfound.options.methods.multi_crop import SwAVOptions


@final
class SwAV(MultiCropMethod[SwAVOptions]):
    """Predict which prototypes one view of an image is assigned to from its other view. Needs no labels.

    Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020. By
    default there are two views of full size. With `local_crops`, small ones predict the assignments of both as well
    (multi-crop; the paper has six, and large views of 0.14 of the image and more). The queue of earlier embeddings is
    left out that the paper adds where a batch is smaller than the prototypes are many, for which there are fewer
    prototypes (3,000 in the paper). The assignment is made over the batch of all processes. Prototypes are normalised
    where they are used, in place of after every update, and learn from the first epoch on, where the paper holds them
    still in the first one. The head is SimCLR's.

    Equal shares keep embeddings apart: where all are equal, every assignment is uniform, and the loss at least the
    logarithm of the number of prototypes. So is that of a batch of one image, which is refused.
    """

    name = "swav"
    Options = SwAVOptions
    refuses_one = "spreads the samples of a batch over prototypes, and it holds one"

    def __init__(self, encoder: Encoder, schema: Schema, options: SwAVOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        directions = torch.randn(options.prototypes, options.projection_features)
        self.prototypes = nn.Parameter(F.normalize(directions, dim=1))

    def compare(self, views: Tensor, local: Tensor | None = None) -> Compared:
        embeddings = self.embed(views, local)
        projections = self.head(embeddings)
        rows = gathered_views(projections, len(views) // 2)
        # Half precision would round similarities by more than the smoothing tells apart.
        with torch.autocast(views.device.type, enabled=False):
            scores = normalize(rows.flatten(0, 1)) @ normalize(self.prototypes).T
        first, second, *crops = scores.unflatten(0, (len(rows), -1))
        loss = swapped_prediction(
            first,
            second,
            local=torch.stack(crops) if crops else None,
            temperature=self.options.temperature,
            smoothing=self.options.smoothing,
            iterations=self.options.iterations,
        )
        return Compared(loss, projections[: len(views)], embeddings[: len(views)])
