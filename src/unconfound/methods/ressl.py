"""ReSSL: a strongly augmented view relates to other samples as the weakly augmented one does."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, final

import torch
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.relation import relational_loss
from unconfound.functional.similarity import normalize
from unconfound.methods.method import Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.queue import KeyQueue
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, TwoViewMethod
from unconfound.options.methods.two_views import ReSSLOptions
from unconfound.views import ImageViews


@final
class ReSSL(TwoViewMethod[ReSSLOptions]):
    """A strong view relates to earlier samples as the target network's weak view does. Needs no labels.

    Zheng et al., "ReSSL: Relational Self-Supervised Learning with Weak Augmentation", NeurIPS 2021. The first views are
    the strong ones; the second, weak ones are cropped and flipped alone. The momentum is constant and the queue holds
    what the target made of earlier weak views, as in the paper. Its values for CIFAR-10 are the defaults. The head is
    SimCLR's, with BatchNorm on every layer.

    Methods that build on this one and want projections of both views get those of the weak ones in a pass of their own:
    no gradient of this loss passes there, and the strong views' BatchNorm does not see them, but they take a share in
    its running statistics.

    A sample is compared with earlier ones, not with its batch, so one image has a loss; but BatchNorm has no variance
    of one, and such a batch is refused. What keeps embeddings from all being equal is that targets are sharper than
    what learns to match them; where they are, the loss is the logarithm of the queue's length and nothing is learnt.
    """

    name = "ressl"
    Options = ReSSLOptions
    refuses_one = "normalises over the batch, and this batch holds one sample"

    def __init__(self, encoder: Encoder, schema: Schema, options: ReSSLOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        weak = replace(options, jitter_probability=0.0, grayscale_probability=0.0, blur_probability=0.0)
        self.weak_views = ImageViews(min(schema.shape[1:]), weak)
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.target = TargetNetwork((encoder, self.head), momentum=options.momentum, rises=False)
        self.queue = KeyQueue(options.queue, options.projection_features)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        # Without the embeddings of the weak views, which are for a method that builds on this one.
        loss, embeddings, _ = self._related(self.two_views(batch))
        return Step(loss, embeddings=embeddings.detach().float())

    def two_views(self, batch: Batch) -> Tensor:
        """Draw a strong view of each image, then a weak one."""
        second = batch.inputs if batch.second_inputs is None else batch.second_inputs
        # Both make two views of each image, of which one is used.
        strong, _ = super().two_views(batch).chunk(2)
        weak, _ = self.weak_views(cast(Tensor, second)).chunk(2)
        return torch.cat([strong, weak])

    def compare(self, views: Tensor) -> Compared:
        loss, embeddings, projections = self._related(views)
        weak = self.encoder(views.chunk(2)[1])
        return Compared(loss, torch.cat([projections, self.head(weak)]), torch.cat([embeddings, weak]))

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))

    def _related(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, and the embeddings and projections of the strong views."""
        strong, weak = views.chunk(2)
        embeddings = self.encoder(strong)
        projections = self.head(embeddings)
        keys = normalize(self.target(weak))
        loss = relational_loss(
            projections,
            keys,
            self.queue.rows(),
            temperature=self.options.temperature,
            key_temperature=self.options.target_temperature,
        )
        self.queue.push(keys)
        return sum_over_processes(loss) / world()[1], embeddings, projections
