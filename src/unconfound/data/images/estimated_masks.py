"""Data sets of images without masks get estimated ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Dataset, MemorySource, Source
from unconfound.data.core.subset import Subset
from unconfound.data.images.mask_verdict import estimated, judge_masks

# So many training images are looked at before masks are estimated.
LOOKED_AT = 512


def with_estimated_masks(dataset: Dataset) -> Dataset:
    """Estimate the masks of all images of a data set, if its training images show that they can be relied on.

    The verdict is made on up to 512 evenly spaced training images. `Dataset.mask_note` has it, and the notes of the
    training part. Masks that a data set has are kept, and the verdict then says how well estimates agree with them.

    Returns:
        The data set with masks; without any where estimates are useless.

    Raises:
        ValueError: the data are no images.
    """
    train = dataset.train
    if train.schema.modality != "images":
        raise ValueError(f"{train.name} holds {train.schema.modality}: masks are estimated of images only")
    if len(train) < 2:
        return _noted(dataset, "no masks are estimated: they are judged on two training images or more")
    step = -(-len(train) // LOOKED_AT)
    batch = next(iter(train.batches([torch.arange(0, len(train), step)])))
    assert isinstance(batch.inputs, Tensor)
    verdict = judge_masks(batch.inputs, batch.masks)
    parts = [train, *dataset.tests.values(), *([] if dataset.validation is None else [dataset.validation])]
    if any(_has_masks(part) for part in parts):
        return _noted(dataset, f"the masks that come with the data are kept; {verdict}")
    if not verdict.usable:
        return _noted(dataset, f"{verdict}; the data stay without masks")
    made: dict[int, Source] = {}
    masked = replace(
        dataset,
        train=_masked(train, made),
        tests={name: _masked(test, made) for name, test in dataset.tests.items()},
        labelled=None if dataset.labelled is None else _masked(dataset.labelled, made),
        validation=None if dataset.validation is None else _masked(dataset.validation, made),
    )
    return _noted(masked, f"all masks are estimated from the images; {verdict}")


class EstimatedMasks(Source):
    """The images of `base`, each with a mask that is estimated whenever it is asked for."""

    def __init__(self, base: Source) -> None:
        self.base = base
        self.name, self.schema, self.notes = base.name, base.schema, base.notes
        self.labels, self.groups, self.scenes = base.labels, base.groups, base.scenes
        self.names, self.texts = base.names, base.texts

    def __len__(self) -> int:
        return len(self.base)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""
        for batch in self.base.batches(order):
            yield replace(batch, masks=estimated(batch.inputs))  # type: ignore[arg-type]


def _noted(dataset: Dataset, note: str) -> Dataset:
    dataset.train.notes = (*dataset.train.notes, note)
    return replace(dataset, mask_note=note)


def _has_masks(source: Source) -> bool:
    if len(source) == 0:
        return False
    return next(iter(source.batches([torch.zeros(1, dtype=torch.long)]))).masks is not None


def _masked(source: Source, made: dict[int, Source]) -> Source:
    """Return a source with estimated masks; several subsets of one source stay so, and its masks are made once."""
    if id(source) not in made:
        made[id(source)] = _newly_masked(source, made)
    return made[id(source)]


def _newly_masked(source: Source, made: dict[int, Source]) -> Source:
    if isinstance(source, Subset):
        base = _masked(source.base, made)
        return Subset(base, source.positions, name=source.name, notes=source.notes, grouped=source.grouped)
    if isinstance(source, MemorySource):
        return replace(source, masks=estimated(source.inputs))
    return EstimatedMasks(source)
