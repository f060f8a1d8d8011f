"""SimCLR + DACL: one network learns from augmented views and from mixed views of the same images."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.contrast import contrast, contrast_noised
from unconfound.methods.parts.heads import projection_head
from unconfound.options.methods.simclr_dacl import SimCLRDACLOptions
from unconfound.views import MixedViews, image_views


@final
class SimCLRDACL(Method):
    """The sum of SimCLR's loss and DACL's, on one encoder and one head. Needs no labels.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning", ICML 2021: the SimCLR+DACL rows. Both losses are
    of the same images and count equally; augmented and mixed views go through the network apart, so that BatchNorm's
    statistics are those of one kind of view.
    """

    Options = SimCLRDACLOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SimCLRDACLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SimCLRDACLOptions()
        self.augmented = image_views(options, schema, method="simclr+dacl")
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.mixed = MixedViews(options)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        temperature = self.options.temperature
        embeddings = self.encoder(self.augmented(cast(Tensor, batch.inputs)))
        augmented = contrast(self.head(embeddings), temperature=temperature, method="simclr+dacl")
        mixed = contrast_noised(
            batch,
            encoder=self.encoder,
            head=self.head,
            views=self.mixed,
            at_representation=False,
            temperature=temperature,
            method="simclr+dacl",
        ).loss
        return Step(
            augmented + mixed,
            {"simclr_loss": augmented.detach(), "dacl_loss": mixed.detach()},
            embeddings=embeddings.detach().float(),
        )
