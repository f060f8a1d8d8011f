"""MoCo: a view finds the other view of its image among keys of earlier batches, or of its own."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import info_nce
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.queued_contrast import queue_info_nce
from unconfound.functional.similarity import normalize
from unconfound.methods.method import Step
from unconfound.methods.parts.heads import plain_head, projection_head
from unconfound.methods.parts.queue import KeyQueue
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import MoCoOptions


@final
class MoCo(TwoViewMethod[MoCoOptions]):
    """A view finds the other view of its image among the keys of a slow copy of the network. Needs no labels.

    By default MoCo v2 (He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020; Chen
    et al., "Improved Baselines with Momentum Contrastive Learning", 2020): the first views are queries, the second ones
    their positive keys, and a queue of earlier keys the negatives. Temperature, constant momentum and the head without
    BatchNorm are v2's; the queue is that of small data sets (65,536 for ImageNet).

    `symmetric` is MoCo v3 (Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV
    2021, algorithm 1): the keys of the batch are the negatives, both directions are summed, a predictor stands before
    the queries, and the loss is scaled by twice the temperature. Head and predictor have BatchNorm on every layer, the
    last without weight and bias, as in the authors' code.

    The authors shuffle samples among GPUs before BatchNorm, lest a query finds its key by the statistics of the few
    samples of its GPU. Here BatchNorm is of the batch of all processes, as on one GPU, where shuffling changes nothing.
    A query and its key then do share the statistics of the batch, as keys of the queue do not; the larger the batch,
    the less these tell.

    With the queue, methods that build on this one and want projections of both views get those of the second in a pass
    of their own: no gradient of this loss passes there and the queries' BatchNorm does not see them, but they take a
    share in its running statistics.

    Where all embeddings are equal, the loss is log(1 + queue), or 4 temperature log(batch) where symmetric: not at its
    best. Of a batch of one image BatchNorm has no variance, and where symmetric there are no negatives: it is refused.
    """

    name = "moco"
    Options = MoCoOptions
    refuses_one = "normalises over the batch, and this batch holds one image"

    def __init__(self, encoder: Encoder, schema: Schema, options: MoCoOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        width, layers = options.projection_features, options.projection_layers
        self.head: nn.Module
        if options.symmetric:
            self.head = projection_head(encoder.features, width, layers=layers, scale_last=False)
            self.predictor = projection_head(width, width, hidden_features=options.predictor_features, scale_last=False)
        else:
            self.head = plain_head(encoder.features, width, layers=layers)
            self.queue = KeyQueue(options.queue, width)
        default = 0.99 if options.symmetric else 0.999
        momentum = default if options.momentum is None else options.momentum
        self.target = TargetNetwork((encoder, self.head), momentum=momentum, rises=options.symmetric)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        if self.options.symmetric:
            return super().forward(batch, phase)
        # Without the embeddings of the second views, which are for a method that builds on this one.
        loss, embeddings, _ = self._with_queue(self.two_views(batch))
        return Step(loss, embeddings=embeddings.detach().float())

    def compare(self, views: Tensor) -> Compared:
        if self.options.symmetric:
            return self._with_batch(views)
        others = self.encoder(views.chunk(2)[1])
        loss, embeddings, queries = self._with_queue(views)
        return Compared(loss, torch.cat([queries, self.head(others)]), torch.cat([embeddings, others]))

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.target.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))

    def _with_queue(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, and the embeddings and queries of the first views."""
        first, second = views.chunk(2)
        embeddings = self.encoder(first)
        queries = self.head(embeddings)
        keys = normalize(self.target(second))
        loss = queue_info_nce(queries, keys, self.queue.rows(), temperature=self.options.temperature)
        self.queue.push(keys)
        return sum_over_processes(loss) / world()[1], embeddings, queries

    def _with_batch(self, views: Tensor) -> Compared:
        temperature = self.options.temperature
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        first, second = gathered(self.predictor(projections))
        key_of_first, key_of_second = gathered(self.target(views))
        loss = info_nce(first, key_of_second, temperature=temperature)
        loss = loss + info_nce(second, key_of_first, temperature=temperature)
        return Compared(2 * temperature * loss, projections, embeddings)
