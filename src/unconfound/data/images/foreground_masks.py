"""Foreground masks in files of NumPy, added to the images of a source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image

from unconfound.data.core.batch import Batch
from unconfound.data.core.changed import ChangedSource
from unconfound.data.core.source import Source
from unconfound.data.files.damaged import naming
from unconfound.data.images.decoding import central_square


class MaskedSource(ChangedSource):
    """The samples of `base`, each with the mask of its file, which is read whenever it is asked for.

    Args:
        base: images.
        paths: a file of [height, width] for each, not 0 on the foreground, cut and resized as its image is.

    Raises:
        FileNotFoundError: a mask is missing.
        ValueError: there is not one path a sample; in a batch, a mask is damaged.
    """

    def __init__(self, base: Source, paths: tuple[Path, ...]) -> None:
        if len(paths) != len(base):
            raise ValueError(f"{len(paths)} masks for the {len(base)} samples of {base.name}: one each is needed")
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(f"{len(missing):,} of {len(paths):,} masks are missing, the first {missing[0]}")
        super().__init__(base)
        self.paths = paths

    def changed(self, batch: Batch) -> Batch:
        size = self.schema.shape[-1]
        masks = [read_mask(self.paths[position], size) for position in batch.index.tolist()]
        return replace(batch, masks=torch.from_numpy(np.stack(masks)))


def read_mask(path: Path, image_size: int) -> Bool[np.ndarray, "1 size size"]:
    """Read a mask and fit its central square to `image_size` pixels a side, by nearest neighbours.

    Raises:
        ValueError: the file is damaged, holds Python objects, or is no array of [height, width] numbers.
    """
    with naming(path, advice="; unpack it anew"):
        values = np.load(path, allow_pickle=False)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "biuf":
        raise ValueError(f"{path} has the shape {values.shape}, but a mask is [height, width]: unpack it anew")
    mask = Image.fromarray((values != 0).astype(np.uint8))
    return np.asarray(central_square(mask, image_size, Image.Resampling.NEAREST))[None] > 0
