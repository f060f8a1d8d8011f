"""Supervised contrast, end to end: samples of one class attract while a classifier learns to tell classes apart."""

from __future__ import annotations

from typing import cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import supervised_contrastive
from unconfound.functional.distributed import gather
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Classifier, accuracy, augmenting_views, step_of
from unconfound.methods.parts.heads import plain_head
from unconfound.methods.parts.labelled import cross_entropy, labels_of
from unconfound.options.methods.classifying import SCLOptions


@final
class SCL(Classifier[SCLOptions]):
    """Cross-entropy plus the supervised contrastive loss of a projection, in one training. Needs labels.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, whose L_out (equation 2) is taken on a projection by
    two layers with a ReLU between, of unit length. There the classifier is trained afterwards; here encoder and
    classifier are trained at once, which is how we read the row "SCL_E2E" in the tables of CIM's paper. The contrast is
    a mean over all rows of a batch: a row whose class no other row carries has the loss 0, and where that holds for all
    rows, cross-entropy alone is left; the share of rows with a positive is logged.
    """

    name = "scl"
    Options = SCLOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SCLOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.projection = plain_head(encoder.features, self.options.projection_features, layers=2)
        self.views = augmenting_views(schema, augment=self.options.augment)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels = batch.inputs, labels_of(batch, method=self.name)
        if self.views is not None:
            inputs, labels = self.views(cast(Tensor, inputs)), labels.repeat(2)
        embeddings, logits = self.classify(inputs)
        classified = cross_entropy(logits, labels).mean()
        contrast, paired = _contrast(
            gather(self.projection(embeddings)), gather(labels), temperature=self.options.temperature
        )
        scalars = {"accuracy": accuracy(logits, labels), "contrast": contrast.detach(), "with_positive": paired}
        loss = classified + self.options.contrast_weight * contrast
        return step_of(loss, embeddings, scalars)


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
