"""The options of image views, which every method that augments images has."""

from __future__ import annotations

from unconfound.data import Schema
from unconfound.options.views import ImageViewOptions
from unconfound.views.images import ImageViews


def image_views(options: ImageViewOptions, schema: Schema, *, method: str) -> ImageViews:
    """Make the views that the options describe.

    Raises:
        ValueError: the data are no images, or an option is out of its range.
    """
    if schema.modality != "images":
        raise ValueError(f"{method} makes its views by image augmentation, the data are {schema.modality}: train dacl")
    return ImageViews(min(schema.shape[1:]), options)
