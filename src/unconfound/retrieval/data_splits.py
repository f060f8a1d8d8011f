"""Data to index or to ask with, read as the encoder's own were, and what their samples are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unconfound.data import Dataset, Source
from unconfound.data.load import DataOptions, load_dataset
from unconfound.encoders.saved import Card
from unconfound.options.embedding import ReadingOptions
from unconfound.retrieval.item_names import full_name


@dataclass(frozen=True, eq=False)
class Split:
    """A split of some data.

    Args:
        split: "train" where the data have one only.
        source: its samples.
        names: of each sample.
        labels: the name of each sample's class, None where it has none.
    """

    split: str
    source: Source
    names: Sequence[str]
    labels: Sequence[str | None]


def read_splits(
    data: str, card: Card, *, data_root: Path | None = None, reading: ReadingOptions | None = None
) -> list[Split]:
    """Read all splits of some data, a validation part included, as the data of an encoder were read.

    Args:
        data: what `DataOptions.data` may be.
        card: of the encoder.
        data_root: where the files of named data lie.
        reading: of images that do not fit into memory.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: the data cannot be read, are of another kind or shape than the encoder takes, or have two splits of
            one name.
    """
    splits = read_sources(data, card, data_root=data_root, reading=reading)
    return [
        Split(split, source, _names(data, split, source, several=len(splits) > 1), label_names(source))
        for split, source in splits.items()
    ]


def read_sources(
    data: str, card: Card, *, data_root: Path | None = None, reading: ReadingOptions | None = None
) -> dict[str, Source]:
    """Read the samples of all splits without their names; arguments and errors are those of `read_splits`."""
    how = vars(reading or ReadingOptions())
    dataset = load_dataset(DataOptions(data=data, data_root=data_root, test_share=0.0, **how), restore=card.restore)
    splits = _splits(dataset)
    for source in splits.values():
        check_fits(source, card, what=data)
    return splits


def check_fits(source: Source, card: Card, *, what: str) -> None:
    """Refuse samples of another kind than an encoder takes.

    Raises:
        ValueError: another modality or number of channels, columns or features.
    """
    schema = source.schema
    if schema.modality != card.schema.modality or schema.shape[0] != card.schema.shape[0]:
        raise ValueError(
            f"{what} holds {schema.modality} of shape {schema.shape}, the encoder takes {card.schema.modality} of "
            f"shape {card.schema.shape}"
        )


def label_names(source: Source) -> list[str | None]:
    """Return the name of each sample's class, None where it has none."""
    if source.labels is None:
        return [None] * len(source)
    classes = source.schema.classes
    return [classes[label] if 0 <= label < len(classes) else None for label in source.labels.tolist()]


def _splits(dataset: Dataset) -> dict[str, Source]:
    found: dict[str, Source] = {"train": dataset.train}
    if dataset.validation is not None:
        found["validation"] = dataset.validation
    if taken := found.keys() & dataset.tests.keys():
        raise ValueError(f"{dataset.train.name} has a test set called {min(taken)!r}, as another part is: rename it")
    return found | dataset.tests


def _names(data: str, split: str, source: Source, *, several: bool) -> list[str]:
    """Name files by their paths, all else by its data, its split (of several) and its position in there."""
    stem = full_name(data)
    if source.names is not None and len(source) and os.path.isfile(os.path.join(stem, source.names[0])):
        return [os.path.join(stem, name) for name in source.names]
    prefix = f"{stem}:{split}:" if several else f"{stem}:"
    return [f"{prefix}{position}" for position in range(len(source))]
