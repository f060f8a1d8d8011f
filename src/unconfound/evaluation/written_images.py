"""The images of all sets as files, for an encoder that runs elsewhere."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.evaluation.evaluate import sources_of
from unconfound.files import atomic, write_text
from unconfound.outputs import entries

LIST = "images.txt"


def write_images(dataset: Dataset, folder: Path, *, seed: int = 0) -> Path:
    """Write every image that `evaluate` would embed, as FOLDER/SET/NAME.png.

    Args:
        dataset: labelled images.
        folder: new or empty.
        seed: of the training samples with exchanged backgrounds, that of the later evaluation.

    Returns:
        images.txt in the folder, which names all files, one a line, and is written last.

    Raises:
        ValueError: the data are no images or have no labels, two images have one name, or the folder holds something.
    """
    if dataset.train.schema.modality != "images":
        raise ValueError(
            f"{dataset.train.name} holds {dataset.train.schema.modality}: only images are written as files"
        )
    if entries(folder):
        raise ValueError(f"{folder} holds something already: choose another folder")
    _, sources = sources_of(dataset, seed=seed)
    written: list[str] = []
    for key, source in sources.items():
        names = [f"{key}/{name}" for name in _names(source)]
        for batch in source.batches(torch.arange(len(source)).split(256)):
            for pixels, place in zip(batch.inputs, batch.index.tolist(), strict=True):  # type: ignore[arg-type]
                path = folder / names[place]
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic(path) as temporary:
                    Image.fromarray(_pixels(pixels)).save(temporary, format="PNG")
        written += names
    write_text(folder / LIST, "\n".join(written) + "\n")
    return folder / LIST


def _names(source: Source) -> list[str]:
    """Return the name of each image below the folder of its set."""
    if source.names is None:
        return [f"{place}.png" for place in range(len(source))]
    names = [str(PurePosixPath(name).with_suffix(".png")) for name in source.names]
    if len(set(names)) < len(names):
        first = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"several images of {source.name} would be {first}: give them names that differ not only in ends"
        )
    return names


def _pixels(image: Tensor) -> np.ndarray:
    values = image if image.dtype == torch.uint8 else (image * 255).round().to(torch.uint8)
    pixels: np.ndarray = values.numpy()
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)
