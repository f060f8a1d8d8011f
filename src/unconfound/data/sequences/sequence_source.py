"""Sequences of any length in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data.core.batch import Batch, Sequences
from unconfound.data.core.nuisance import Nuisance
from unconfound.data.core.ranges import concatenated_ranges
from unconfound.data.core.source import Schema, Source


@dataclass(eq=False)
class SequenceSource(Source):
    """Sequences that lie one after the other in one array; a batch is padded to its longest.

    Args:
        name: how logs and reports call it.
        schema: of text or series.
        values: tokens, or channels, of all sequences.
        lengths: of each sequence.
        labels, groups: -1 where a sequence has none; None where none has.
        names: a row or file a sequence.
        texts: what each sequence said, for reports; None for series.
        notes: for the run's log.
        nuisance: the part of each sequence that is to tell nothing; None where nobody named one.

    Raises:
        ValueError: a sequence of length 0, lengths that do not sum up to the values, NaN or infinity.
    """

    name: str
    schema: Schema
    values: Int[Tensor, " total"] | Float[Tensor, "total channels"]
    lengths: Int[Tensor, " samples"]
    labels: Int[Tensor, " samples"] | None = None
    groups: Int[Tensor, " samples"] | None = None
    names: Sequence[str] | None = None
    texts: Sequence[str] | None = None
    notes: Sequence[str] = ()
    nuisance: Nuisance | None = None

    def __post_init__(self) -> None:
        ends = self.lengths.cumsum(0)
        self.starts = ends - self.lengths
        if int(self.lengths.sum()) != len(self.values):
            raise ValueError(
                f"{self.name}: the lengths sum up to {int(self.lengths.sum()):,}, but there are {len(self.values):,} "
                "values"
            )
        if len(self) and int(self.lengths.min()) < 1:
            raise ValueError(f"{self.name}: {self._called(int(self.lengths.argmin()))} is empty: leave it out")
        if self.values.is_floating_point() and not bool((finite := self.values.isfinite().all(1)).all()):
            first = int(torch.searchsorted(ends, (~finite).nonzero()[0, 0], right=True))
            raise ValueError(
                f"{self.name}: {self._called(first)} holds NaN or infinity: fill the gaps, leave it out, or say by "
                "lengths where it ends"
            )

    def _called(self, sample: int) -> str:
        return f"sequence {sample}" + (f" ({self.names[sample]})" if self.names is not None else "")

    def __len__(self) -> int:
        return len(self.lengths)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""
        for index in order:
            lengths = self.lengths[index]
            longest = int(lengths.max()) if len(lengths) else 0
            padded = self.values.new_zeros(len(index) * longest, *self.values.shape[1:])
            rows = torch.arange(len(index)) * longest
            padded[concatenated_ranges(rows, lengths)] = self.values[concatenated_ranges(self.starts[index], lengths)]
            yield self._batch(Sequences(padded.unflatten(0, (len(index), longest)), lengths), index)
