"""The samples of another source, changed whenever they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator

from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Source


class ChangedSource(Source):
    """The samples of `base` with their labels, groups and names, without a copy of them; `changed` says what differs.

    Args:
        base: where the samples are.
    """

    def __init__(self, base: Source) -> None:
        self.base = base
        self.name, self.schema, self.notes = base.name, base.schema, base.notes
        self.labels, self.groups, self.scenes = base.labels, base.groups, base.scenes
        self.names, self.texts = base.names, base.texts

    def __len__(self) -> int:
        return len(self.base)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""
        return map(self.changed, self.base.batches(order))

    @abstractmethod
    def changed(self, batch: Batch) -> Batch:
        """Return a batch of `base` as it is to be."""
