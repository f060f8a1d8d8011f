"""DACL: two views of a sample, each with a little of another sample mixed in, attract."""

from __future__ import annotations

from typing import final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.inputs import unit_range
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.contrast import contrast, contrast_noised, noises_representation
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.host import Compared
from unconfound.options.methods.dacl import DACLOptions
from unconfound.views import MixedViews


@final
class DACL(Method):
    """Two views of a sample, each mixed with a little of another sample, attract. Needs no labels.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning", ICML 2021, algorithm 1. Images and tables are mixed at
    the input, in [0, 1], before the encoder normalises them; both views go through it in one pass. Graphs, text and
    series have no common shape: the encoder runs once, and its outputs are mixed (the paper's graph experiments).
    There a mix may be linear or binary; a geometric one needs values of at least 0.

    The paper draws partners independently (`partners="independent"`); by default they are a cyclic shift of the batch.
    With `functions` linear, geometric and binary this is DACL+ (`unconfound fit dacl+`).
    """

    Options = DACLOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: DACLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or DACLOptions()
        self.at_representation = noises_representation(options.mix, schema, flag="mix")
        if self.at_representation and "geometric" in options.functions:
            raise ValueError(
                f"representations go below 0, where a geometric mix is undefined: for {schema.modality} use "
                "--functions linear binary"
            )
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.views = MixedViews(options, columns=() if self.at_representation else schema.columns)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return contrast_noised(
            batch,
            encoder=self.encoder,
            head=self.head,
            views=self.views,
            at_representation=self.at_representation,
            temperature=self.options.temperature,
            method="dacl",
        )

    def two_views(self, batch: Batch) -> Tensor:
        inputs = batch.inputs
        if self.at_representation or not isinstance(inputs, Tensor):
            raise ValueError("a host makes two views of the input, and dacl mixes the representation: use --mix input")
        views: Tensor = self.views(unit_range(inputs))
        return views

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        loss = contrast(projections, temperature=self.options.temperature, method="dacl")
        return Compared(loss, projections, embeddings)
