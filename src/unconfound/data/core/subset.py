"""Some samples of a source, as a source of their own, and a data set of such parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Dataset, Source


class Subset(Source):
    """The samples of `base` at `positions`, in that order, without a copy of them.

    Args:
        base: where the samples are.
        positions: [samples] positions in `base`.
        name: how logs and reports call it; the base's own name where it is None.
        notes: those of the subset; the base's own are not repeated.
        grouped: whether samples keep their groups.

    Raises:
        ValueError: a position is outside of the base.
    """

    def __init__(
        self,
        base: Source,
        positions: Int[Tensor, " samples"],
        *,
        name: str | None = None,
        notes: Sequence[str] = (),
        grouped: bool = True,
    ) -> None:
        if len(positions) and (int(positions.min()) < 0 or int(positions.max()) >= len(base)):
            raise ValueError(
                f"positions {int(positions.min())} to {int(positions.max())} of {base.name!r}, "
                f"which has the samples 0 to {len(base) - 1}"
            )
        self.base = base
        self.positions = positions
        self.grouped = grouped
        self.name = base.name if name is None else name
        self.schema = base.schema
        self.labels = None if base.labels is None else base.labels[positions]
        self.groups = None if base.groups is None or not grouped else base.groups[positions]
        self.nuisance = base.nuisance
        self.scenes = None if base.scenes is None else base.scenes[positions]
        self.names = None if base.names is None else [base.names[position] for position in positions.tolist()]
        self.texts = None if base.texts is None else [base.texts[position] for position in positions.tolist()]
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU; its `index` counts in the subset."""
        asked: list[Tensor] = []

        def positions() -> Iterator[Tensor]:
            for index in order:
                asked.append(index)
                yield self.positions[index]

        # A streaming base reads ahead, so several batches may have been asked for before the first arrives.
        for batch in self.base.batches(positions()):
            yield replace(batch, index=asked.pop(0), groups=batch.groups if self.grouped else None)


def origin(source: Source) -> tuple[Source, Int[Tensor, " samples"]]:
    """Return the source at the bottom of subsets of subsets, and the positions there."""
    base, positions = source, torch.arange(len(source))
    while isinstance(base, Subset):
        positions = base.positions[positions]
        base = base.base
    return base, positions


def labelled_part(source: Source) -> Source | None:
    """Return the samples that carry a label; the source itself where all do, None where none does."""
    if source.labels is None or bool((source.labels < 0).all()):
        return None
    known = (source.labels >= 0).nonzero().squeeze(1)
    return source if len(known) == len(source) else Subset(source, known, name=f"{source.name} labelled")


def divided(
    whole: Source,
    parts: Mapping[str, Int[Tensor, " part"]],
    *,
    restore: Mapping[str, object],
    notes: Sequence[str] = (),
) -> Dataset:
    """Make a data set of one source.

    Args:
        whole: all samples, none of which is copied.
        parts: positions of the samples of "train", and of each test set by its name; an empty test set is left out.
        restore: that of the data set.
        notes: of the training part.
    """
    train = whole if len(parts["train"]) == len(whole) else Subset(whole, parts["train"])
    train.notes = tuple(notes)
    tests: dict[str, Source] = {
        name: Subset(whole, positions, name=f"{whole.name} {name}")
        for name, positions in parts.items()
        if name != "train" and len(positions)
    }
    return Dataset(train=train, tests=tests, labelled=labelled_part(train), restore=dict(restore))
