"""Supervised contrast, end to end: samples of one class attract while a classifier learns to tell classes apart."""

from __future__ import annotations

from typing import ClassVar, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import supervised_contrastive
from unconfound.functional.distributed import gather
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import plain_head
from unconfound.methods.parts.labelled import accuracy, check_classes, cross_entropy, labels_of
from unconfound.options.methods.scl import SCLOptions
from unconfound.views import ImageViews


@final
class SCL(Method):
    """Cross-entropy plus the supervised contrastive loss of a projection, in one training. Needs labels.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, whose L_out (equation 2) is taken on a projection by
    two layers with a ReLU between, of unit length. There the classifier is trained afterwards; here encoder and
    classifier are trained at once, which is how we read the row "SCL_E2E" in the tables of CIM's paper. The contrast is
    a mean over all rows of a batch: a row whose class no other row carries has the loss 0, and where that holds for all
    rows, cross-entropy alone is left; the share of rows with a positive is logged.
    """

    Options = SCLOptions
    needs_labels: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: SCLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SCLOptions()
        check_classes(schema, method="scl")
        if options.augment and schema.modality != "images":
            raise ValueError(f"--augment makes views of images, the data are {schema.modality}: leave it out")
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.features, len(schema.classes))
        self.head = plain_head(encoder.features, options.projection_features, layers=2)
        self.views = ImageViews(min(schema.shape[1:])) if options.augment else None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels = batch.inputs, labels_of(batch, method="scl")
        if self.views is not None:
            inputs, labels = self.views(cast(Tensor, inputs)), labels.repeat(2)
        embeddings = self.encoder(inputs)
        logits = self.classifier(embeddings)
        classified = cross_entropy(logits, labels).mean()
        contrast, paired = _contrast(
            gather(self.head(embeddings)), gather(labels), temperature=self.options.temperature
        )
        scalars = {"accuracy": accuracy(logits, labels), "contrast": contrast.detach(), "with_positive": paired}
        loss = classified + self.options.contrast_weight * contrast
        return Step(loss, scalars, torch.atleast_2d(embeddings.detach().float()))

    def linear_classifier(self) -> nn.Linear:
        """Return the classifier."""
        return self.classifier


def _contrast(
    rows: Float[Tensor, "rows features"], labels: Int[Tensor, " rows"], *, temperature: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Average the supervised contrastive loss over all rows, those without a positive having the loss 0.

    Returns:
        The mean, and the share of rows that have a positive.
    """
    _, kinds, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    paired = (sizes > 1)[kinds].double().mean()
    if paired == 0:
        return 0 * rows.sum(), paired
    return float(paired) * supervised_contrastive(rows, labels, temperature=temperature), paired
