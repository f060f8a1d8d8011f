"""Random crops of a folder of photographs, for backgrounds in training."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from unconfound.data.compose.photographs import ZOOMS
from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.files.walking import find_files
from unconfound.data.images.decoding import (
    UnreadableImageError,
    checked_size,
    flattened,
    large_images_allowed,
    unreadable,
)
from unconfound.functional.distributed import uniform

# What is held in memory at most: so many photographs, and so many bytes of them.
MOST, MOST_BYTES = 1000, 2**29
# The longer side of a photograph that is used, by its shorter one: of panoramas the middle.
_LONGEST = 2.0


class CroppedPhotographs:
    """Photographs of a folder in three sizes each, so that a crop is a copy of ready pixels.

    Files in folders below count, too. At most 1,000 photographs and 512 MiB of pixels are held: of a larger folder,
    evenly spaced files in the order of their names.

    Args:
        folder: of photographs of any size.
        shape: (channels, height, width) of a crop, with 3 channels for colours or 1 for brightness.
        workers: number of threads that decode.

    Attributes:
        notes: how many photographs are used, and which could not be read.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no readable photograph in it, or crops of another number of channels.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], *, workers: int = 2) -> None:
        channels, height, width = shape
        if channels not in (1, 3):
            raise ValueError(f"photographs have 3 channels, or 1 of brightness: the images have {channels}")
        self.shape = shape
        names = photograph_names(folder)
        room = MOST_BYTES / (channels * max(height, width) ** 2 * _LONGEST * sum(zoom**-2 for zoom in ZOOMS))
        count = min(len(names), MOST, max(1, int(room)))
        chosen = [names[place] for place in np.linspace(0, len(names) - 1, count).astype(int)]
        self._levels: list[tuple[Tensor, ...]] = []
        bad = []
        with large_images_allowed(), ThreadPoolExecutor(max(1, workers)) as pool:
            for name, read in zip(chosen, pool.map(lambda name: _levels(folder / name, shape), chosen), strict=True):
                if isinstance(read, str):
                    bad.append(f"{name} ({read})")
                else:
                    self._levels.append(read)
        if not self._levels:
            raise ValueError(f"none of the {count:,} photographs in {folder} can be read: {bad[0]}")
        told = f"backgrounds come from {len(self._levels):,} photographs in {folder}"
        self.notes = [told if count == len(names) else f"{told}, evenly spaced among {len(names):,}"]
        if bad:
            named = "; ".join([*bad[:5], *(["..."] if len(bad) > 5 else [])])
            self.notes.append(f"{len(bad):,} photographs in {folder} cannot be read and are left out: {named}")

    def __len__(self) -> int:
        return len(self._levels)

    def draw(
        self, count: int, *, generator: torch.Generator | None = None
    ) -> UInt8[Tensor, "{count} channels height width"]:
        """Draw crops: photograph, zoom and place at random.

        A crop shows 0.8, 0.65 or 0.5 of the photograph's shorter side, as in `photographs.crops`. With equal generators
        processes draw together what one process would draw for all of them.

        Args:
            count: of this process; equal in all.
            generator: where the randomness comes from; by default torch's global one.
        """
        _, height, width = self.shape
        crops = torch.empty((count, *self.shape), dtype=torch.uint8)
        for place, (photograph, zoom, row, column) in enumerate(uniform(count, 4, generator=generator).tolist()):
            levels = self._levels[int(photograph * len(self._levels))]
            pixels = levels[int(zoom * len(levels))]
            top = int(row * (pixels.shape[1] - height + 1))
            left = int(column * (pixels.shape[2] - width + 1))
            crops[place] = pixels[:, top : top + height, left : left + width]
        return crops


def photograph_names(folder: Path) -> list[str]:
    """Return the photographs in and below a folder, by their names relative to it.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no file in it is called like an image.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of photographs at {folder}")
    names = find_files(folder, EXTENSIONS).files
    if not names:
        raise ValueError(f"no photograph in {folder}: expected {', '.join(sorted(EXTENSIONS))} files")
    return names


def _levels(path: Path, shape: tuple[int, int, int]) -> tuple[UInt8[Tensor, "channels _ _"], ...] | str:
    """Return a photograph in the size of each zoom, or why it cannot be read."""
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            checked_size(image)
            # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size.
            most = ceil(2 * max(height, width) / min(ZOOMS))
            image.draft(None, (most, most))
            upright = flattened(ImageOps.exif_transpose(image), "white").convert("RGB" if channels == 3 else "L")
        return tuple(_tensor(each, channels) for each in _resized(_middle(upright), height, width))
    except Exception as error:
        reason: UnreadableImageError = unreadable(error)
        return str(reason)


def _middle(image: Image.Image) -> Image.Image:
    """Cut the ends of a panorama off."""
    width, height = (min(side, ceil(_LONGEST * min(image.size))) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _resized(image: Image.Image, height: int, width: int) -> Iterator[Image.Image]:
    for zoom in ZOOMS:
        scale = max(height / (zoom * image.height), width / (zoom * image.width))
        size = max(width, round(scale * image.width)), max(height, round(scale * image.height))
        # Pillow resizes bytes in fixed-point arithmetic: the same bits on every machine.
        yield image.resize(size, Image.Resampling.BICUBIC)


def _tensor(image: Image.Image, channels: int) -> UInt8[Tensor, "channels _ _"]:
    return torch.from_numpy(np.array(image)).view(image.height, image.width, channels).permute(2, 0, 1).contiguous()
