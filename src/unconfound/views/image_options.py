"""The options of image views, which every method that augments images has."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.data import Schema
from unconfound.views.images import ImageViews


@dataclass(frozen=True, kw_only=True)
class ImageViewOptions:
    """Of the random views of images.

    By default W-MSE's and the ICL-MSR protocol's for CIFAR-10, with grayscale at SimCLR's 0.2.
    """

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


@dataclass(frozen=True, kw_only=True)
class MetricViewOptions(ImageViewOptions):
    """Of the random view of an image in metric learning: crops and flips, as in "A Metric Learning Reality Check"."""

    augment: bool = True
    """learn from one random view of every image, not from the image itself"""
    crop_scale: tuple[float, float] = (0.16, 1.0)
    """share of the image's area that a view shows, lowest and highest"""
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """strength of the change in brightness, contrast, saturation and hue"""
    grayscale_probability: float = 0.0
    """of a view without colour"""


def image_views(options: ImageViewOptions, schema: Schema, *, method: str) -> ImageViews:
    """Make the views that the options describe.

    Raises:
        ValueError: the data are no images, or an option is out of its range.
    """
    if schema.modality != "images":
        raise ValueError(f"{method} makes its views by image augmentation, the data are {schema.modality}: train dacl")
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
