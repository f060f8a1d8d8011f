"""Where batches come from: the contract of every source, and the one that holds its samples in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from unconfound.data.core.batch import Batch, Graphs, Sequences
from unconfound.data.core.nuisance import Nuisance

Modality = Literal["images", "tables", "graphs", "text", "series"]


@dataclass(frozen=True)
class Schema:
    """What one sample is.

    Args:
        modality: decides which views and encoders fit.
        shape: (channels, height, width) of an image, (features,) of a row, (features,) of a graph's node, (tokens,) of
            a text's vocabulary, (channels,) of a series at one time.
        classes: the names of the labels 0, 1, ...; empty where there are no labels.
        groups: the names of the groups 0, 1, ...; empty where there are no groups.
        columns: how many features of a row each column of a table became (a category becomes several), in their order;
            empty where each is a feature of its own.
    """

    modality: Modality
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()


class Source(ABC):
    """Samples that can be asked for by their index.

    Attributes:
        name: how logs and reports call it.
        schema: what one sample is.
        labels: [samples], or None. -1 where a sample has no label.
        groups: [samples], or None.
        scenes: [samples] the class on whose scene a sample stands, or None where scenes are not known.
        names: a file path or row name a sample, or None.
        texts: what each sample says, for reports; None for all but texts.
        nuisance: the part of each sample that is to tell nothing of its class; None where nobody named one.
        notes: what was skipped, filled or adapted while reading, in plain words, for the run's log.
    """

    name: str
    schema: Schema
    labels: Int[Tensor, " samples"] | None
    groups: Int[Tensor, " samples"] | None
    scenes: Int[Tensor, " samples"] | None = None
    names: Sequence[str] | None
    texts: Sequence[str] | None = None
    nuisance: Nuisance | None = None
    notes: Sequence[str]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""

    def _batch(
        self, inputs: Tensor | Graphs | Sequences, index: Int[Tensor, " batch"], masks: Tensor | None = None
    ) -> Batch:
        """Return these inputs with the labels and groups of their samples."""
        labels, groups = (None if each is None else each[index] for each in (self.labels, self.groups))
        return Batch(inputs=inputs, index=index, labels=labels, groups=groups, masks=masks)

    def statistics(self, *, samples: int = 10_000) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
        """Mean and standard deviation of each channel (or column), from at most `samples` evenly spaced samples.

        Images are measured in [0, 1], series where they are not padded. A constant channel gets the standard deviation
        1. Nodes of graphs, mostly one-hot, are left as they are (0 and 1); tokens have no statistics (no channels).
        """
        if self.schema.modality in ("graphs", "text"):
            channels = self.schema.shape[0] if self.schema.modality == "graphs" else 0
            return torch.zeros(channels), torch.ones(channels)
        index = torch.arange(0, len(self), max(1, -(-len(self) // samples)))
        count, total, squares = 0, torch.zeros(()).double(), torch.zeros(()).double()
        for batch in self.batches(index.split(256)):
            values = _rows(batch.inputs)  # type: ignore[arg-type]
            count += len(values)
            total, squares = total + values.sum(0), squares + values.square().sum(0)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
        return mean.float(), torch.where(deviation > 1e-6, deviation, 1.0).float()


def _rows(inputs: Tensor | Sequences) -> Float[Tensor, "values channels"]:
    """Return the values of every channel or column, one below the other."""
    if isinstance(inputs, Sequences):
        return inputs.values[inputs.mask()].double()
    values = inputs.double() / (255 if inputs.dtype == torch.uint8 else 1)
    return values.flatten(2).transpose(1, 2).flatten(0, 1) if values.dim() == 4 else values


@dataclass(eq=False)
class MemorySource(Source):
    """Samples held in memory, or in a memory-mapped file: a batch is one indexing operation, without workers."""

    name: str
    schema: Schema
    inputs: (
        UInt8[Tensor, "samples channels height width"]
        | UInt8[Tensor, "samples columns"]
        | Float[Tensor, "samples *sample"]
    )
    labels: Int[Tensor, " samples"] | None = None
    groups: Int[Tensor, " samples"] | None = None
    masks: Bool[Tensor, "samples 1 height width"] | None = None
    names: Sequence[str] | None = None
    notes: Sequence[str] = field(default_factory=tuple)
    scenes: Int[Tensor, " samples"] | None = None
    nuisance: Nuisance | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""
        for index in order:
            yield self._batch(self.inputs[index], index, None if self.masks is None else self.masks[index])


@dataclass(frozen=True)
class Dataset:
    """A training source and the sources it is evaluated on.

    Args:
        train: what an encoder is trained on.
        tests: the test sources by name: "test", or "original", "mixed-same", "mixed-rand", "only-foreground" and
            "only-background" (the same test samples in the same order) where the foregrounds are known; the first three
            where a nuisance is named.
        labelled: the training samples that carry labels, on which probes are fitted; `train` itself where all do,
            None where none does.
        train_foreground: the samples of `labelled` in the same order with their background removed, or None.
        restore: what `unconfound embed` needs to read new data the same way, as JSON values (image size, the encoding
            of a table's columns, ...).
        validation: samples of the same kind as `train`, never trained on, for choosing between candidates; never a
            test set. None where nobody set any aside.
        adversarial: the test foregrounds on one background after the other, by its name; `scenes` say whose it is.
        mask_note: how far masks that were estimated from the images can be relied on, or why there are none; empty
            where none were asked for.
    """

    train: Source
    tests: dict[str, Source]
    labelled: Source | None = None
    train_foreground: Source | None = None
    restore: dict[str, object] = field(default_factory=dict)
    validation: Source | None = None
    adversarial: dict[str, Source] = field(default_factory=dict)
    mask_note: str = ""
