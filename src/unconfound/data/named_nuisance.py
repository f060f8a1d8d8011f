"""The nuisance that a user names, found in the data that were read."""

from __future__ import annotations

import torch
from torch import Tensor

from unconfound.data.core.batch import Graphs, Sequences
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

# So many recordings are looked at for a background.
_RECORDINGS = 256


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
    from unconfound.data.sequences.background_noise import background_noise
    from unconfound.data.sequences.topic_words import topic_words
    from unconfound.data.tables.nuisance_columns import nuisance_columns
    from unconfound.data.tables.related_columns import ROWS, related_note

    stored = dataset.restore.get("encoding")
    if options.nuisance:
        assert isinstance(stored, dict)
        columns = nuisance_columns(options.nuisance, stored, dataset.train.notes)
        notes = [f"nuisance: {columns.words}, {int(columns.features.sum())} of {len(columns.features)} features"]
        rows = _some(dataset.train, ROWS)
        assert isinstance(rows, Tensor)
        note = related_note(rows, stored["columns"], columns.features, words=columns.words)
        return columns, [*notes, *([note] if note else [])]
    if options.nuisance_words:
        assert isinstance(stored, dict)
        return topic_words(options.nuisance_words, stored["vocabulary"])
    assert options.nuisance_snr is not None
    recordings = _some(dataset.train, _RECORDINGS)
    assert isinstance(recordings, Sequences)
    return background_noise(*options.nuisance_snr, recordings, name=dataset.train.name)


def _some(source: Source, at_most: int) -> Tensor | Sequences:
    """Return so many evenly spaced samples."""
    inputs = next(iter(source.batches([torch.arange(0, len(source), -(-len(source) // at_most))]))).inputs
    assert not isinstance(inputs, Graphs)
    return inputs


def _give(source: Source, nuisance: Nuisance) -> None:
    source.nuisance = nuisance
    if isinstance(source, Subset):
        _give(source.base, nuisance)
