"""SimCLR: two augmented views of an image attract, views of different images repel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.distributed import gather
from unconfound.methods.heads import projection_head
from unconfound.methods.method import Method, Step
from unconfound.views import ImageViews


@dataclass(frozen=True, kw_only=True)
class SimCLROptions:
    """Options of `simclr`."""

    temperature: float = 0.5
    """of the softmax over similarities; above 0"""
    projection_features: int = 128
    """width of the projections that the loss compares"""
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

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        for name in ("projection_features", "projection_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


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
                f"simclr makes its views by image augmentation, the data are {schema.modality}: train supervised"
            )
        self.encoder = encoder
        self.head = projection_head(encoder.features, options.projection_features, layers=options.projection_layers)
        self.views = ImageViews(
            min(schema.shape[1:]),
            crop_scale=options.crop_scale,
            crop_ratio=options.crop_ratio,
            flip_probability=options.flip_probability,
            jitter=options.jitter,
            jitter_probability=options.jitter_probability,
            grayscale_probability=options.grayscale_probability,
            blur_probability=options.blur_probability,
        )

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        embeddings = self.encoder(self.views(batch.inputs))
        first, second = self.head(embeddings).chunk(2)
        first, second = gather(first), gather(second)
        if len(first) < 2:
            raise ValueError("simclr tells the images of a batch apart, and this batch holds one: use at least two")
        loss = nt_xent(first, second, temperature=self.options.temperature)
        return Step(loss, embeddings=embeddings.detach().float())
