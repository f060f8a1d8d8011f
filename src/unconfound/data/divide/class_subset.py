"""The samples of some classes, as a source that knows of no other class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Source
from unconfound.data.core.subset import Subset


class ClassSubset(Subset):
    """The samples of `base` that have one of some labels, in their order, without a copy of them.

    The labels become 0, 1, ... and `schema.classes` names these classes only. Samples without a label are left out.

    Args:
        base: labelled samples.
        kept: the labels to keep; the first of them becomes 0.
        name: how logs and reports call it; the base's own name where it is None.
        notes: those of the subset; the base's own are not repeated.

    Raises:
        ValueError: the base has no labels.
    """

    def __init__(
        self, base: Source, kept: Sequence[int], *, name: str | None = None, notes: Sequence[str] = ()
    ) -> None:
        if base.labels is None:
            raise ValueError(f"{base.name} has no labels: its classes cannot be told apart")
        number = torch.full((len(base.schema.classes),), -1)
        number[list(kept)] = torch.arange(len(kept))
        labels = torch.where(base.labels < 0, -1, number[base.labels.long()])
        super().__init__(base, (labels >= 0).nonzero().squeeze(1), name=name, notes=notes)
        self.labels = labels[self.positions]
        self.schema = replace(base.schema, classes=tuple(base.schema.classes[label] for label in kept))

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU; its `index` counts in the subset."""
        assert self.labels is not None
        for batch in super().batches(order):
            yield replace(batch, labels=self.labels[batch.index])
