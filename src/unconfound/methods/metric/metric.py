"""Metric learning: an embedding in which samples of one class are near, evaluated on classes that it never saw."""

from __future__ import annotations

from typing import ClassVar, cast, final

import torch
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder, Projected
from unconfound.methods.method import Method, Phase, Step
from unconfound.methods.metric.losses import chosen_loss
from unconfound.methods.parts.frozen_batch_norm import freeze_batch_norms
from unconfound.methods.parts.labelled import labels_of, need_classes
from unconfound.methods.parts.parameter_groups import parameter_groups
from unconfound.options.methods.metric import MetricOptions
from unconfound.options.methods.metric_settings import LOSSES
from unconfound.views import image_views


@final
class Metric(Method):
    """Learns an embedding with one of the losses that "A Metric Learning Reality Check" compares. Needs labels.

    Musgrave et al. (ECCV 2020): the encoder's output goes through one linear map of `features` columns, and the loss
    sees its direction alone. Losses of pairs get batches of some classes with some samples each; a class of fewer
    samples gives some of them more than once. Losses of proxies learn a point a class, which is not saved with the
    encoder. Their tuned learning rates are absolute: an adaptive optimizer moves a number by about its learning rate,
    whatever the loss, and proxies start at the size at which those rates were tuned. The encoder has the rate of the
    training options, which for a pretrained one is best far below (the Reality Check's is 1e-6).
    """

    name = "metric"
    Options = MetricOptions
    needs_labels: ClassVar[bool] = True
    tested_on_unseen_classes: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: MetricOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or MetricOptions()
        need_classes(schema, method=self.name)
        self.instances_per_class = LOSSES[options.loss].instances if options.instances is None else options.instances
        classes = len(schema.classes)
        self.loss, self.proxy_learning_rate = chosen_loss(options, classes, implementation=options.implementation)
        # Only images have views; other samples are learnt from as they are.
        views = options.augment and schema.modality == "images"
        self.views = image_views(options, schema, method=self.name) if views else None
        projected = encoder.wrap(Projected, features=options.features, batch_norm=options.batch_norm)
        self.encoder = encoder
        if options.freeze_batch_norm:
            freeze_batch_norms(projected.network)

    def train(self, mode: bool = True) -> Metric:
        """Set the mode of all layers, but for BatchNorm that is frozen."""
        super().train(mode)
        if self.options.freeze_batch_norm:
            freeze_batch_norms(self.encoder.wrapper(Projected).network)
        return self

    def phases(self) -> tuple[Phase, ...]:
        head = self.encoder.wrapper(Projected).projection
        own = (head.parameters(), self.options.head_learning_rate)
        proxies = (self.loss.parameters(), self.proxy_learning_rate)
        return (Phase("train", parameter_groups(self.parameters(), own, proxies)),)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels = batch.inputs, labels_of(batch, method=self.name)
        if self.views is not None:
            inputs = self.views(cast(Tensor, inputs), count=1)
        embeddings = self.encoder(inputs)
        return Step(self.loss(embeddings, labels), embeddings=torch.atleast_2d(embeddings.detach().float()))
