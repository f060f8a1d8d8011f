"""Contrastive learning with Gaussian noise: the baseline that DACL's paper calls Gaussian-noise."""

from __future__ import annotations

from typing import final

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.heads import projection_head
from unconfound.methods.parts.noised import contrast_noised, noises_representation
from unconfound.options.methods.two_views import GaussianOptions
from unconfound.views import NoisyViews


@final
class Gaussian(Method):
    """Two noisy views of a sample attract: DACL's baseline, where it mixes. Needs no labels.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning", ICML 2021: the Gaussian-noise rows. `sigma` is fixed,
    or (`matched`) such that noise moves samples as far as mixing does, so that only its shape differs.
    """

    name = "gaussian"
    Options = GaussianOptions
    compares_two_views = True

    def __init__(self, encoder: Encoder, schema: Schema, options: GaussianOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or GaussianOptions()
        self.at_representation = noises_representation(options.noise_at, schema, flag="noise-at")
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.views = NoisyViews(options)

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
