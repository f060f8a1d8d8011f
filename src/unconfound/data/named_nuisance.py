"""The nuisance that a user names, found in the data that were read."""

from __future__ import annotations

import torch
from torch import Tensor

from unconfound.data.core.nuisance import Nuisance
from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.options.data import DataOptions

# Which data each option names a nuisance of, by `Dataset.restore`, and what it names.
_NAMING = {
    "nuisance": ("table", "columns of a table"),
    "nuisance_words": ("text", "words of texts"),
    "nuisance_snr": ("recordings", "backgrounds of recordings"),
}


def with_nuisance(dataset: Dataset, options: DataOptions) -> Dataset:
    """Give the sources of a data set the nuisance that the options name, if they name one.

    Args:
        dataset: as it was read; its sources are changed, and notes of the nuisance are added to those of `train`.
        options: how it was read.

    Raises:
        FileNotFoundError: there is no such list of words.
        ValueError: the data have no such nuisance; the message says why.
    """
    if not (named := [name for name in _NAMING if getattr(options, name)]):
        return dataset
    kind = str(dataset.restore.get("kind", dataset.train.schema.modality))
    for name in named:
        needed, what = _NAMING[name]
        if options.rows or kind != needed:
            found = "rows of pixels" if options.rows else "a table" if kind == "table" else kind
            hint = ": the nuisance of images is their background, which --masks separates" if found == "images" else ""
            raise ValueError(f"--{name.replace('_', '-')} names {what}, and the data are {found}{hint}")
    nuisance, notes = _found(dataset, options)
    dataset.train.notes = (*dataset.train.notes, *notes)
    for source in (dataset.train, dataset.labelled, dataset.validation, *dataset.tests.values()):
        if source is not None:
            _give(source, nuisance)
    return dataset


def _found(dataset: Dataset, options: DataOptions) -> tuple[Nuisance, list[str]]:
    from unconfound.data.sequences.background_noise import BackgroundNoise
    from unconfound.data.sequences.topic_words import topic_words
    from unconfound.data.tables.nuisance_columns import nuisance_columns
    from unconfound.data.tables.related_columns import ROWS, related_note

    stored = dataset.restore.get("encoding")
    if options.nuisance:
        assert isinstance(stored, dict)
        columns = nuisance_columns(options.nuisance, stored, dataset.train.notes)
        notes = [f"nuisance: {columns.words}, {int(columns.features.sum())} of {len(columns.features)} features"]
        some = torch.arange(0, len(dataset.train), -(-len(dataset.train) // ROWS))
        rows = next(iter(dataset.train.batches([some]))).inputs
        assert isinstance(rows, Tensor)
        note = related_note(rows, stored["columns"], columns.features, words=columns.words)
        return columns, [*notes, *([note] if note else [])]
    if options.nuisance_words:
        assert isinstance(stored, dict)
        return topic_words(options.nuisance_words, stored["vocabulary"])
    assert options.nuisance_snr is not None
    noise = BackgroundNoise(*options.nuisance_snr)
    return noise, [f"nuisance: {noise.words}, at {noise.lowest:g} to {noise.highest:g} dB"]


def _give(source: Source, nuisance: Nuisance) -> None:
    source.nuisance = nuisance
    if isinstance(source, Subset):
        _give(source.base, nuisance)
