"""Foregrounds cut out by their masks: resized, placed, coloured, ready to stand on a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from unconfound.data.core.source import Source


@dataclass(frozen=True, eq=False)
class Foregrounds:
    """What a sample is, without where it stands: images of any size, their masks, and their labels."""

    images: UInt8[Tensor, "samples channels height width"]
    masks: Bool[Tensor, "samples 1 height width"]
    labels: Int[Tensor, " samples"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Int[ndarray, " chosen"]) -> Foregrounds:
        """Choose samples; one may be chosen several times."""
        chosen = torch.from_numpy(index)
        return Foregrounds(self.images[chosen], self.masks[chosen], self.labels[chosen])


def read_foregrounds(source: Source, *, threshold: int = 32) -> Foregrounds:
    """Take the foregrounds of a source of labelled images.

    Args:
        source: images with masks, or grayscale images that are bright on black, as MNIST and Fashion-MNIST are.
        threshold: without masks, the foreground is what is brighter than this, of 255.

    Raises:
        ValueError: not images, no labels, a sample without a label, neither 1 nor 3 channels, or colour images
            without masks.
    """
    if source.schema.modality != "images":
        raise ValueError(f"{source.name} holds {source.schema.modality}: foregrounds are cut out of images")
    if source.labels is None or bool((source.labels < 0).any()):
        raise ValueError(f"{source.name} has samples without a label: a foreground needs its class to find its scene")
    batches = list(source.batches(torch.arange(len(source)).split(1024)))
    images = torch.cat([cast(Tensor, batch.inputs) for batch in batches])
    if images.dtype != torch.uint8:
        images = (images * 255).round().to(torch.uint8)
    if images.shape[1] not in (1, 3):
        raise ValueError(f"{source.name} has {images.shape[1]} channels: foregrounds have 1 (grey) or 3 (colour)")
    masks = [batch.masks for batch in batches if batch.masks is not None]
    if not masks and images.shape[1] != 1:
        raise ValueError(f"{source.name} has colour images without masks: give a folder of masks")
    return Foregrounds(images, torch.cat(masks) if masks else images > threshold, source.labels)


def of_classes(foregrounds: Foregrounds, kept: Sequence[int], *, all_there: bool = True) -> Foregrounds:
    """Return the samples of some classes, whose labels become their places in `kept`.

    Raises:
        ValueError: one of these classes has no samples, where they are to be `all_there`.
    """
    new = torch.full((max(int(foregrounds.labels.max()), *kept) + 1,), -1)
    for place, label in enumerate(kept):
        if all_there and not bool((foregrounds.labels == label).any()):
            raise ValueError(f"no foreground has the label {label}: leave its class out")
        new[label] = place
    labels = new[foregrounds.labels.long()]
    chosen = labels >= 0
    return Foregrounds(foregrounds.images[chosen], foregrounds.masks[chosen], labels[chosen])


def resize(foregrounds: Foregrounds, size: int) -> Foregrounds:
    """Resize images and masks so that the longer side has `size` pixels."""
    height, width = foregrounds.images.shape[2:]
    scale = size / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    masks = _resized(foregrounds.masks.byte() * 255, shape) > 127
    return Foregrounds(_resized(foregrounds.images, shape), masks, foregrounds.labels)


def place(foregrounds: Foregrounds, *, size: int, rng: np.random.Generator) -> Foregrounds:
    """Place each foreground at a random position of an empty square, with three channels.

    Args:
        foregrounds: at most `size` pixels high and wide.
        size: pixels of a side of the square.
        rng: the only randomness.

    Raises:
        ValueError: a foreground does not fit.
    """
    count, channels, height, width = foregrounds.images.shape
    if max(height, width) > size:
        raise ValueError(f"a foreground of {width} x {height} pixels does not fit into {size} x {size}")
    tops = rng.integers(size - height + 1, size=count)
    lefts = rng.integers(size - width + 1, size=count)
    sample = torch.arange(count)[:, None, None]
    rows = torch.from_numpy(tops)[:, None, None] + torch.arange(height)[:, None]
    columns = torch.from_numpy(lefts)[:, None, None] + torch.arange(width)
    images = torch.zeros(count, size, size, channels, dtype=torch.uint8)
    masks = torch.zeros(count, size, size, dtype=torch.bool)
    images[sample, rows, columns] = foregrounds.images.permute(0, 2, 3, 1)
    masks[sample, rows, columns] = foregrounds.masks[:, 0]
    images = images.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).contiguous()
    return Foregrounds(images, masks[:, None], foregrounds.labels)


def tint(foregrounds: Foregrounds, *, rng: np.random.Generator) -> Foregrounds:
    """Give each foreground a random bright colour: hue uniform, saturation in [0.4, 1], value in [0.8, 1]."""
    hue, saturation, value = rng.random((3, len(foregrounds), 1))
    saturation, value = 0.4 + 0.6 * saturation, 0.8 + 0.2 * value
    sector = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    colours = value * (1 - saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1))
    factors = np.rint(colours * 255).astype(np.uint16)[:, :, None, None]
    # In whole numbers, rounded to nearest: the same bits on every machine.
    pixels = (foregrounds.images.numpy() * factors + np.uint16(127)) // np.uint16(255)
    images = torch.from_numpy(pixels.astype(np.uint8))
    return Foregrounds(images, foregrounds.masks, foregrounds.labels)


def _resized(
    images: UInt8[Tensor, "samples channels _ _"], shape: tuple[int, int]
) -> UInt8[Tensor, "samples channels height width"]:
    """Resize by Pillow, whose fixed-point arithmetic gives the same bits on every machine.

    Pillow resizes along one side and then along the other, so all images, stacked along the side at rest, are resized
    in two calls, with the same bits as one by one.
    """
    count, channels, height, width = images.shape
    rows = _resized_lines(images.numpy().reshape(-1, width), shape[1]).reshape(-1, height, shape[1])
    columns = _resized_lines(rows.transpose(0, 2, 1).reshape(-1, height), shape[0])
    resized = columns.reshape(count, channels, shape[1], shape[0]).transpose(0, 1, 3, 2)
    return torch.from_numpy(np.ascontiguousarray(resized))


def _resized_lines(lines: UInt8[ndarray, "lines _"], width: int) -> UInt8[ndarray, "lines width"]:
    """Resize each line of pixels by itself."""
    size = (width, len(lines))
    return np.asarray(Image.fromarray(np.ascontiguousarray(lines)).resize(size, Image.Resampling.BICUBIC))
