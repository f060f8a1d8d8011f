"""SimCLR: two augmented views of an image attract, views of different images repel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, final

from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.contrast import ContrastOptions, contrast
from unconfound.methods.heads import projection_head
from unconfound.methods.method import Method, Step
from unconfound.views import ImageViews


@dataclass(frozen=True, kw_only=True)
class SimCLROptions(ContrastOptions):
    """Options of `simclr`."""

    projection_layers: int = 2
    """layers of the projection head"""
    crop_scale: tuple[float, float] = (0.2, 1.0)
    """share of the image's area that a view shows, lowest and highest"""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """aspect ratio of the cropped area, lowest and highest"""
    flip_probability: float = 0.5
    """of a left-right flip"""
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    """strength of the change in brightness, contrast, saturation and hue"""
    jitter_probability: float = 0.8
    """of that change"""
    grayscale_probability: float = 0.2
    """of a view without colour"""
    blur_probability: float = 0.0
    """of a Gaussian blur"""


@final
class SimCLR(Method):
    """Two augmented views of an image attract, those of different images repel. Needs no labels.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

    The head is that of the authors' code: BatchNorm on every layer, no bias. The views' defaults are W-MSE's and the
    ICL-MSR protocol's for CIFAR-10 (no blur, jitter of strength 0.4 with hue 0.1), with grayscale at SimCLR's 0.2.
    A batch of one image has no negatives, and is refused.
    """

    Options = SimCLROptions

    def __init__(self, encoder: Encoder, schema: Schema, options: SimCLROptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or SimCLROptions()
        if schema.modality != "images":
            raise ValueError(
                f"simclr makes its views by image augmentation, the data are {schema.modality}: train dacl"
            )
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.views = image_views(options, schema)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        embeddings = self.encoder(self.views(cast(Tensor, batch.inputs)))
        loss = contrast(self.head(embeddings), temperature=self.options.temperature, method="simclr")
        return Step(loss, embeddings=embeddings.detach().float())


def image_views(options: SimCLROptions, schema: Schema) -> ImageViews:
    """Make the views that the options describe."""
    return ImageViews(
        min(schema.shape[1:]),
        crop_scale=options.crop_scale,
        crop_ratio=options.crop_ratio,
        flip_probability=options.flip_probability,
        jitter=options.jitter,
        jitter_probability=options.jitter_probability,
        grayscale_probability=options.grayscale_probability,
        blur_probability=options.blur_probability,
    )
