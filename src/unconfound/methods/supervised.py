"""Cross-entropy with labels: what every label-free method is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.views import ImageViews


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions:
    """Options of `supervised`."""

    augment: bool = False
    """train on two augmented views of every image (SimCLR's) instead of the image itself"""
    label_smoothing: float = 0.0
    """share of the target spread over all classes, in [0, 1)"""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")


@final
class Supervised(Method):
    """An encoder with a linear classifier, trained end to end with cross-entropy."""

    Options = SupervisedOptions
    needs_labels: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: SupervisedOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options or SupervisedOptions()
        if len(schema.classes) < 2:
            raise ValueError(
                f"supervised needs at least two classes, the data have {len(schema.classes)}: "
                "give labels (class folders, --label), or train simclr, which needs none"
            )
        if self.options.augment and schema.modality != "images":
            raise ValueError(f"--augment makes views of images, the data are {schema.modality}: leave it out")
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.features, len(schema.classes))
        self.views = ImageViews(min(schema.shape[1:])) if self.options.augment else None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        if batch.labels is None:
            raise ValueError("supervised needs labels, this batch has none")
        inputs, labels = batch.inputs, batch.labels
        if self.views is not None:
            inputs, labels = self.views(cast(Tensor, inputs)), labels.repeat(2)
        embeddings = self.encoder(inputs)
        logits = self.classifier(embeddings)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.options.label_smoothing)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        return Step(loss, {"accuracy": accuracy}, torch.atleast_2d(embeddings.detach().float()))

    def linear_classifier(self) -> nn.Linear:
        """Return the classifier."""
        return self.classifier
