"""Image files of one grey each, for the tests of published layouts."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image


def picture(path, value, shape=(8, 8)):
    """Write an image of one grey, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path, quality=100)


def first_pixels(source):
    """Return the first pixel of each sample: which one it is."""
    (batch,) = source.batches([torch.arange(len(source))])
    return batch.inputs[:, 0, 0, 0].tolist()
