"""SimCLR + DACL: one network learns from augmented views and from mixed views of the same images."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.inputs import unit_range
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.two_views import gathered, refuse_one, views_of
from unconfound.options.methods.two_views import SimCLRDACLOptions
from unconfound.views import MixedViews, image_views


@final
class SimCLRDACL(Method):
    """The sum of SimCLR's loss and DACL's, on one encoder and one head. Needs no labels.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning", ICML 2021: the SimCLR+DACL rows. Both losses are
    of the same images and count equally; augmented and mixed views go through the network apart, so that BatchNorm's
    statistics are those of one kind of view.
    """

    name = "simclr+dacl"
    Options = SimCLRDACLOptions
    compares_two_views = True

    def __init__(self, encoder: Encoder, schema: Schema, options: SimCLRDACLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SimCLRDACLOptions()
        self.augmented = image_views(options, schema, method=self.name)
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.mixed = MixedViews(options)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        images, temperature = cast(Tensor, batch.inputs), self.options.temperature
        refuse_one(len(images), method=self.name)
        embeddings = self.encoder(views_of(batch, self.augmented))
        augmented = nt_xent(*gathered(self.head(embeddings)), temperature=temperature)
        projections = self.head(self.encoder(views_of(replace(batch, inputs=unit_range(images)), self.mixed)))
        mixed = nt_xent(*gathered(projections), temperature=temperature)
        return Step(
            augmented + mixed,
            {"simclr_loss": augmented.detach(), "dacl_loss": mixed.detach()},
            embeddings=embeddings.detach().float(),
        )
