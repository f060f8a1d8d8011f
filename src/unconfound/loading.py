"""A data set by what a user names, with masks by the encoder of a run where that is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unconfound.data import Dataset
from unconfound.data.load import DataOptions, data_options, load_dataset
from unconfound.encoders.masks_of_run import is_run, masks_by_run
from unconfound.options.data_sets import ESTIMATE, ESTIMATE_ALL


def load(data: DataOptions | Path | str, *, restore: Mapping[str, Any] | None = None, **options: Any) -> Dataset:
    """Read a data set by its name or path, as in `load("path/to/folder", image_size=64)`.

    Args:
        data: a folder, a file or the name of a public set; or what and how, as `DataOptions`.
        restore: `Dataset.restore` of the data that an encoder was trained on, to read new data the same way: images get
            the same size and channels, the columns of a table the same encoding.
        **options: beside a path or a name, those of `DataOptions`.

    Raises:
        TypeError: an unknown option.
        FileNotFoundError: nothing is there.
        ValueError: what is there cannot be learnt from; the message says why.
    """
    given = data_options(data, **options)
    masks = given.masks
    if masks is None or not is_run(masks):
        if masks is not None and given.data == "demo" and str(masks) not in (ESTIMATE, ESTIMATE_ALL):
            # It reads no files, and would be trained on its exact masks without a word.
            raise ValueError(
                f"--masks {masks} is no run, and the demo brings masks of its own: name a run folder, or leave it out"
            )
        return load_dataset(given, restore=restore)
    return load_dataset(given, restore=restore, segment=masks_by_run(masks))
