"""SCARF: a row of a table and the same row with most columns taken from other rows attract."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import info_nce
from unconfound.functional.inputs import unit_range
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.two_views import gathered, views_of
from unconfound.options.methods.two_views import SCARFOptions
from unconfound.views import CorruptedViews


@final
class SCARF(Method):
    """A row and the same row with some columns replaced attract. Tables only; needs no labels.

    Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption", ICLR 2022, algorithm 1.
    The loss is the paper's InfoNCE: each clean row finds its corrupted one among those of the batch; corrupted rows are
    no anchors. The paper divides the denominator by the batch size N, which subtracts the constant log N; here it is
    not subtracted. All columns that a category became are replaced together. Our encoder and head have BatchNorm, which
    the paper's ReLU networks lack; clean and corrupted rows share its statistics.
    """

    name = "scarf"
    Options = SCARFOptions
    compares_two_views = True

    def __init__(self, encoder: Encoder, schema: Schema, options: SCARFOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SCARFOptions()
        if schema.modality != "tables":
            raise ValueError(
                f"scarf replaces columns of tables, the data are {schema.modality}: use dacl, or --rows to read images "
                "as tables"
            )
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.views = CorruptedViews(schema.shape[0], options, columns=schema.columns)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        rows = replace(batch, inputs=unit_range(cast(Tensor, batch.inputs)))
        embeddings = self.encoder(views_of(rows, self.views))
        clean, corrupted = gathered(self.head(embeddings))
        loss = info_nce(clean, corrupted, temperature=self.options.temperature)
        return Step(loss, embeddings=embeddings.detach().float())
