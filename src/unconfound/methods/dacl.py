"""DACL: two views of a sample, each with a little of another sample mixed in, attract."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.inputs import unit_range
from unconfound.methods.method import Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.noised import contrast_noised, noises_representation
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.two_views import DACLOptions
from unconfound.views import MixedViews


@final
class DACL(TwoViewMethod[DACLOptions]):
    """Two views of a sample, each mixed with a little of another sample, attract. Needs no labels.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning", ICML 2021, algorithm 1. Images and tables are mixed at
    the input, in [0, 1], before the encoder normalises them; both views go through it in one pass. Graphs, text and
    series have no common shape: the encoder runs once, and its outputs are mixed (the paper's graph experiments).
    There a mix may be linear or binary; a geometric one needs values of at least 0.

    The paper draws partners independently (`partners="independent"`); by default they are a cyclic shift of the batch.
    With `functions` linear, geometric and binary this is DACL+ (`unconfound fit dacl+`).
    """

    name = "dacl"
    Options = DACLOptions
    refuses_one = None  # The views do: a sample is mixed with another.

    def __init__(self, encoder: Encoder, schema: Schema, options: DACLOptions | None = None) -> None:
        options = options or DACLOptions()
        at_representation = noises_representation(options.mix, schema, flag="mix")
        if at_representation and "geometric" in options.functions:
            raise ValueError(
                f"representations go below 0, where a geometric mix is undefined: for {schema.modality} use "
                "--functions linear binary"
            )
        views = MixedViews(options, columns=() if at_representation else schema.columns)
        super().__init__(encoder, schema, options, views=views)
        self.at_representation = at_representation
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return contrast_noised(
            batch,
            encoder=self.encoder,
            head=self.head,
            views=self.views,
            at_representation=self.at_representation,
            temperature=self.options.temperature,
            method=self.name,
        )

    def two_views(self, batch: Batch) -> Tensor:
        inputs = batch.inputs
        if self.at_representation or not isinstance(inputs, Tensor):
            raise ValueError("a host makes two views of the input, and dacl mixes the representation: use --mix input")
        return super().two_views(replace(batch, inputs=unit_range(inputs)))

    def compare(self, views: Tensor) -> Compared:
        embeddings = self.encoder(views)
        projections = self.head(embeddings)
        loss = nt_xent(*gathered(projections), temperature=self.options.temperature)
        return Compared(loss, projections, embeddings)
