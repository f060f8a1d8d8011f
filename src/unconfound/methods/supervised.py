"""Cross-entropy with labels: what every label-free method is compared with."""

from __future__ import annotations

from typing import cast, final

from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Classifier, accuracy, augmenting_views, step_of
from unconfound.methods.parts.labelled import (
    balanced_weights,
    check_groups,
    cross_entropy,
    labels_of,
    source_groups,
)
from unconfound.options.methods.classifying import SupervisedOptions


@final
class Supervised(Classifier[SupervisedOptions]):
    """An encoder with a linear classifier, trained end to end with cross-entropy.

    With `vib`, the classifier sees a noisy code of the embedding, whose divergence from noise is part of the loss:
    Alemi et al., "Deep Variational Information Bottleneck", ICLR 2017.
    """

    name = "supervised"
    Options = SupervisedOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SupervisedOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.needs_groups = self.options.balance == "groups"
        if self.needs_groups:
            check_groups(schema, method=f"{self.name} --balance groups")
        self.views = augmenting_views(schema, augment=self.options.augment)

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Balance what is to be balanced."""
        if self.options.balance == "groups":
            return balanced_weights(source_groups(source, method=f"{self.name} --balance groups"))
        if self.options.balance == "classes" and source.labels is not None:
            return balanced_weights(source.labels)
        return None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels, views = batch.inputs, labels_of(batch, method=self.name), 1
        if self.views is not None:
            inputs, labels, views = self.views(cast(Tensor, inputs)), labels.repeat(2), 2
        embeddings = self.encoder(inputs)
        logits, information = self.head(embeddings, views=views)
        loss = cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing).mean() + information
        scalars = {"accuracy": accuracy(logits, labels)}
        if self.options.vib:
            scalars["information"] = information.detach()
        return step_of(loss, embeddings, scalars)
