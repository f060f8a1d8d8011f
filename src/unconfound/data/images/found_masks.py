"""Data sets of images whose masks a function finds: an estimate, a refinement, or a network of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.changed import ChangedSource
from unconfound.data.core.source import Dataset, MemorySource, Source
from unconfound.data.core.subset import Subset

Masks = Bool[Tensor, "images 1 height width"]
# Images and the masks that they have, if any -> the masks that they get, if any.
Found = Callable[[Tensor, Masks | None], Masks | None]


def with_found_masks(dataset: Dataset, found: Found, *, tests: bool = True) -> Dataset:
    """Give the images of all parts of a data set the masks that a function finds.

    Masks of images in memory are found now, those of streamed ones whenever they are asked for. Parts of one source
    stay so, and its masks are found once.

    Args:
        dataset: images.
        found: what finds them. The same images must always get the same masks.
        tests: whether test sets get such masks, too; else they stay as they are.
    """
    made: dict[int, Source] = {}

    def masked(source: Source) -> Source:
        if id(source) not in made:
            made[id(source)] = newly_masked(source)
        return made[id(source)]

    def newly_masked(source: Source) -> Source:
        if isinstance(source, Subset):
            base = masked(source.base)
            return Subset(base, source.positions, name=source.name, notes=source.notes, grouped=source.grouped)
        if isinstance(source, MemorySource):
            return replace(source, masks=found(source.inputs, source.masks))
        return FoundMasks(source, found)

    return replace(
        dataset,
        train=masked(dataset.train),
        tests={name: masked(test) if tests else test for name, test in dataset.tests.items()},
        labelled=None if dataset.labelled is None else masked(dataset.labelled),
        validation=None if dataset.validation is None else masked(dataset.validation),
    )


class FoundMasks(ChangedSource):
    """The images of `base`, each with a mask that is found whenever it is asked for.

    Args:
        base: images, with masks or without.
        found: images and their masks -> the masks that they get.
    """

    def __init__(self, base: Source, found: Found) -> None:
        super().__init__(base)
        self.found = found

    def changed(self, batch: Batch) -> Batch:
        assert isinstance(batch.inputs, Tensor)
        return replace(batch, masks=self.found(batch.inputs, batch.masks))
