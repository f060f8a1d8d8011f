"""The options of image views, which every method that augments images has."""

from __future__ import annotations

from dataclasses import replace

from unconfound.data import Schema
from unconfound.options.views import ImageViewOptions, MultiCropOptions
from unconfound.views.images import ImageViews, check_range

# Of the side of an image, that of its small crops: 96 of 224 pixels in SwAV.
_LOCAL_SHARE = 3 / 7


def image_views(options: ImageViewOptions, schema: Schema, *, method: str) -> ImageViews:
    """Make the views that the options describe.

    Raises:
        ValueError: the data are no images, or an option is out of its range.
    """
    if schema.modality != "images":
        raise ValueError(f"{method} makes its views by image augmentation, the data are {schema.modality}: train dacl")
    return ImageViews(min(schema.shape[1:]), options)


def local_views(options: MultiCropOptions, schema: Schema) -> ImageViews:
    """Make the small views that the options describe: crops of a smaller part, brought to a smaller size.

    Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (NeurIPS 2020), section
    3.3 (multi-crop). All that is not the crop is drawn as for the views of full size.

    Args:
        options: how large a part they show, and their size.
        schema: of images.

    Raises:
        ValueError: an option is out of its range.
    """
    check_range("local_scale", options.local_scale, highest=1)
    size = options.local_size or max(1, round(_LOCAL_SHARE * min(schema.shape[1:])))
    return ImageViews(size, replace(options, crop_scale=options.local_scale))
