"""Object-aware contrast: what a first model tells images apart by is shown before other backgrounds to a second one."""

from __future__ import annotations

import copy
from typing import cast, final

import torch
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.inputs import unit_range
from unconfound.methods.method import Method, Phase, Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.model_saliency import contrastive_saliency
from unconfound.methods.parts.two_views import gathered, refuse_one
from unconfound.options.methods.two_views import ContraCAMOptions
from unconfound.views import image_views
from unconfound.views.salient import crop_to_salient, mix_backgrounds


@final
class ContraCAM(Method):
    """Contrasts images whose backgrounds were replaced around what a first model finds salient. Needs no labels.

    Mo et al., "Object-aware Contrastive Learning for Debiased Scene Representation", NeurIPS 2021. A first model is
    trained by SimCLR's loss. It finds where each image is unlike the others (`contrastive_saliency`). For a second
    model, from the same initial weights, this part of an image is put before the background of another image in the
    first view (`mix_backgrounds`), and with crops="object" both views are crops of the box around it
    (`crop_to_salient`).

    The paper's hosts are MoCo v2 and BYOL, ours is SimCLR, with its views. The paper finds all objects once; we find
    those of each batch, among its images. It refines masks for crops by a conditional random field and crops to one of
    several objects; we have neither.
    """

    name = "contracam"
    Options = ContraCAMOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: ContraCAMOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options or ContraCAMOptions()
        self.views = image_views(self.options, schema, method=self.name)
        self.encoder = encoder
        self.head = projection_head(
            encoder.features, self.options.projection_features, layers=self.options.projection_layers
        )
        self.first = copy.deepcopy(nn.Sequential(encoder, self.head))
        self.size = min(schema.shape[1:])

    def phases(self) -> tuple[Phase, ...]:
        """First the one model, then the other."""
        epochs = self.options.localization_epochs
        return (
            Phase("localize", tuple(self.first.parameters()), stop=epochs),
            Phase("train", (*self.encoder.parameters(), *self.head.parameters()), start=epochs),
        )

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        images = cast(Tensor, batch.inputs)
        refuse_one(len(images), method=self.name)
        if phase == "localize":
            first, second = gathered(self.first(self.views(images)))
            return Step(nt_xent(first, second, temperature=self.options.temperature))
        options = self.options
        saliency = contrastive_saliency(self.first, images, iterations=options.iterations)
        mixed, whole = mix_backgrounds(images, saliency, share=options.mixed_share), unit_range(images)
        if options.crops == "object":
            mixed, whole = (crop_to_salient(each, saliency, size=self.size) for each in (mixed, whole))
        embeddings = self.encoder(torch.cat([self.views(each, count=1) for each in (mixed, whole)]))
        loss = nt_xent(*gathered(self.head(embeddings)), temperature=options.temperature)
        told = {"salient": (saliency >= 0.2).float().mean()}
        return Step(loss, told, embeddings=embeddings.detach().float())
