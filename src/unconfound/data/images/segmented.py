"""Data sets of images whose masks a function of the user's own finds, such as a segmentation network."""

from __future__ import annotations

import torch
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.images.found_masks import with_found_masks
from unconfound.data.images.mask_verdict import Segment


def with_masks_by(dataset: Dataset, segment: Segment, *, batch_size: int = 64) -> Dataset:
    """Give all images of a data set the masks that a function finds, in place of any that they have.

    Images in memory are segmented now, streamed ones whenever they are asked for. Test sets with exchanged backgrounds
    are made from the result by `unconfound.data.load.with_swaps`.

    Args:
        dataset: images.
        segment: turns images, as the data set holds them, into masks, True on the foreground. The same images must
            always have the same masks.
        batch_size: images at a time, 1 or more.

    Raises:
        ValueError: the data are no images, or the masks are not one of True and False a pixel.
    """
    if dataset.train.schema.modality != "images":
        raise ValueError(f"{dataset.train.name} holds {dataset.train.schema.modality}: only images have masks")

    def found(images: Tensor, _masks: Tensor | None) -> Tensor:
        return torch.cat([_checked(segment(part), part) for part in torch.split(images, batch_size)])

    return with_found_masks(dataset, found)


def _checked(masks: Tensor, images: Tensor) -> Tensor:
    shape = (len(images), 1, *images.shape[2:])
    if not isinstance(masks, Tensor) or masks.shape != shape or masks.dtype != torch.bool:
        found = f"{masks.dtype} of {tuple(masks.shape)}" if isinstance(masks, Tensor) else type(masks).__name__
        raise ValueError(
            f"the function that finds masks returned {found} for images of {tuple(images.shape)}: it must return a "
            f"tensor of True and False of the shape {shape}"
        )
    return masks.cpu()
