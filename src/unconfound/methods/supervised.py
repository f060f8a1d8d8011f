"""Cross-entropy with labels: what every label-free method is compared with."""

from __future__ import annotations

from typing import ClassVar, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.bottleneck_classifier import classifier_head
from unconfound.methods.parts.labelled import (
    accuracy,
    balanced_weights,
    check_classes,
    check_groups,
    cross_entropy,
    labels_of,
    source_groups,
)
from unconfound.options.methods.supervised import SupervisedOptions
from unconfound.views import ImageViews


@final
class Supervised(Method):
    """An encoder with a linear classifier, trained end to end with cross-entropy.

    With `vib`, the classifier sees a noisy code of the embedding, whose divergence from noise is part of the loss:
    Alemi et al., "Deep Variational Information Bottleneck", ICLR 2017.
    """

    Options = SupervisedOptions
    needs_labels: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: SupervisedOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SupervisedOptions()
        check_classes(schema, method="supervised")
        if options.augment and schema.modality != "images":
            raise ValueError(f"--augment makes views of images, the data are {schema.modality}: leave it out")
        self.needs_groups = options.balance == "groups"
        if self.needs_groups:
            check_groups(schema, method="supervised --balance groups")
        self.encoder = encoder
        self.head = classifier_head(encoder.features, len(schema.classes), options)
        self.views = ImageViews(min(schema.shape[1:])) if options.augment else None

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Balance what is to be balanced."""
        if self.options.balance == "groups":
            return balanced_weights(source_groups(source, method="supervised --balance groups"))
        if self.options.balance == "classes" and source.labels is not None:
            return balanced_weights(source.labels)
        return None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels, views = batch.inputs, labels_of(batch, method="supervised"), 1
        if self.views is not None:
            inputs, labels, views = self.views(cast(Tensor, inputs)), labels.repeat(2), 2
        embeddings = self.encoder(inputs)
        logits, information = self.head(embeddings, views=views)
        loss = cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing).mean() + information
        scalars = {"accuracy": accuracy(logits, labels)}
        if self.options.vib:
            scalars["information"] = information.detach()
        return Step(loss, scalars, torch.atleast_2d(embeddings.detach().float()))

    def linear_classifier(self) -> nn.Linear:
        """Return the classifier; a bottleneck adds no noise there."""
        return self.head.as_linear()
