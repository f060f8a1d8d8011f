"""Samples with the nuisance of others, of any kind: the test sets of the audit, and what encoders are mended by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.data.compose.donors import donors_of
from unconfound.data.core.batch import Batch, Graphs, Sequences
from unconfound.data.core.changed import ChangedSource
from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset, labelled_part


class ExchangedSource(ChangedSource):
    """The samples of `base`, each with the nuisance of another sample of it, without a copy of them.

    What texts say, `texts`, is what they said before.

    Args:
        base: samples with a nuisance.
        givers: [samples] the sample that gives its nuisance.
        draws: [samples] in [0, 1), for what else of the exchange is random.
        name: how logs and reports call it.

    Raises:
        ValueError: the base has no nuisance.
    """

    def __init__(
        self, base: Source, givers: Int[Tensor, " samples"], draws: Float[Tensor, " samples"], *, name: str
    ) -> None:
        if base.nuisance is None:
            raise ValueError(f"{base.name} has no nuisance to exchange: name one, as --nuisance does for tables")
        super().__init__(base)
        self.givers, self.draws, self.nuisance = givers, draws, base.nuisance
        self.name, self.notes = name, ()

    def changed(self, batch: Batch) -> Batch:
        return with_nuisance_of(batch, self.base, self.givers[batch.index], self.draws[batch.index])


def with_nuisance_of(
    batch: Batch, source: Source, givers: Int[Tensor, " batch"], draws: Float[Tensor, " batch"]
) -> Batch:
    """Give each sample of a batch the nuisance of another sample.

    Args:
        batch: on any device.
        source: where the batch comes from, which has a nuisance.
        givers: indices of the other samples in the source; a sample that gives to itself stays as it is.
        draws: in [0, 1), for what else is random.
    """
    device, inputs = batch.index.device, batch.inputs
    others = next(iter(source.batches([givers.cpu()]))).inputs
    assert source.nuisance is not None
    assert not isinstance(inputs, Graphs)
    assert not isinstance(others, Graphs)
    changed = source.nuisance.exchanged(inputs, others.to(device), draws.to(device))
    stays = givers.to(device) == batch.index
    return replace(batch, inputs=_chosen(stays, inputs, changed))


def _chosen(first: Bool[Tensor, " batch"], ones: Tensor | Sequences, others: Tensor | Sequences) -> Tensor | Sequences:
    """Return the samples of `ones` where `first` is True, and those of `others` elsewhere."""
    if isinstance(ones, Sequences):
        assert isinstance(others, Sequences)
        return Sequences(_rows(first, ones.values, others.values), ones.lengths)
    assert isinstance(others, Tensor)
    return _rows(first, ones, others)


def _rows(first: Tensor, ones: Tensor, others: Tensor) -> Tensor:
    return torch.where(first.view(-1, *(1,) * (ones.dim() - 1)), ones, others)


def with_exchanged_nuisance(
    source: Source, *, generator: torch.Generator
) -> tuple[ExchangedSource, Int[Tensor, " samples"]]:
    """Give each sample the nuisance of another one, drawn at random, and name these others.

    Every nuisance is given exactly once, and none is kept.

    Args:
        source: two or more samples with a nuisance.
        generator: of the order in which they exchange.

    Returns:
        The samples in the order of the source, and the index of the one whose nuisance each has.

    Raises:
        ValueError: the source has no nuisance.
    """
    order = torch.randperm(len(source), generator=generator)
    givers = torch.empty_like(order)
    givers[order] = order.roll(1)
    draws = torch.rand(len(source), generator=generator)
    return ExchangedSource(source, givers, draws, name=f"{source.name}, exchanged nuisance"), givers


def exchanged_tests(source: Source, *, seed: int = 0) -> dict[str, Source]:
    """Return three test sets of the same samples in the same order.

    "original" are the samples themselves. In "mixed-same" each has the nuisance of another sample of its class, in
    "mixed-rand" that of another sample of a uniformly random class, its own among them, as with backgrounds of images.

    Args:
        source: labelled samples with a nuisance.
        seed: of the choice of samples that give it.

    Raises:
        ValueError: no nuisance, a sample without a label, or a class of one sample.
    """
    if source.labels is None or bool((source.labels < 0).any()):
        raise ValueError(f"{source.name} has samples without a label: an exchange by class needs the class of each")
    rng = np.random.default_rng(seed)
    labels = source.labels.numpy().astype(np.int64)
    givers = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    for label, members in givers.items():
        if len(members) < 2:
            names = source.schema.classes
            raise ValueError(
                f"the class {names[label] if label < len(names) else label!r} has one sample: mixed-same needs two or "
                "more"
            )
    present = np.array(sorted(givers))

    def mixed(classes: np.ndarray, name: str) -> Source:
        donors = torch.from_numpy(donors_of(classes, givers, rng))
        draws = torch.from_numpy(rng.random(len(classes), dtype=np.float32))
        return ExchangedSource(source, donors, draws, name=f"{source.name}, {name}")

    return {
        "original": Subset(source, torch.arange(len(source)), name=f"{source.name}, original", notes=source.notes),
        "mixed-same": mixed(labels, "mixed-same"),
        "mixed-rand": mixed(present[rng.integers(len(present), size=len(labels))], "mixed-rand"),
    }


def with_exchanged_tests(dataset: Dataset, *, seed: int = 0) -> Dataset:
    """Put `exchanged_tests` in the place of the test set; data without a nuisance or test labels stay as they are."""
    test = dataset.tests.get("test")
    if dataset.train.nuisance is None or test is None or dataset.labelled is None:
        return dataset
    labelled = labelled_part(test)
    if labelled is None:
        return dataset
    try:
        return replace(dataset, tests=exchanged_tests(labelled, seed=seed))
    except ValueError as error:
        # Too few samples to exchange among is no reason not to train on them.
        dataset.train.notes = (*dataset.train.notes, f"no nuisance is exchanged in testing: {error}")
        return dataset
