"""Embeddings in place of an encoder that is not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.evaluation.embeddings import Embeddings


@dataclass(frozen=True, eq=False)
class GivenEmbeddings:
    """The embeddings of sets of samples, which stand where an encoder would compute them.

    Args:
        sets: by the names that `evaluate` uses: "train", each test set, "validation", "train-foreground" and
            "train-exchanged", as far as they are known; rows in the order of the samples.
        notes: what a reader must know of their origin.
    """

    sets: Mapping[str, Float[Tensor, "samples features"]]
    notes: tuple[str, ...] = ()

    def of(self, name: str, source: Source) -> Embeddings:
        """Return the embeddings of a set.

        Args:
            name: of the set.
            source: its samples, for their labels, groups and names.
        """
        return Embeddings(
            features=self.sets[name],
            index=torch.arange(len(source)),
            labels=source.labels,
            groups=source.groups,
            names=None if source.names is None else list(source.names),
        )

    def part_of(self, dataset: Dataset) -> Dataset:
        """Return the data with those sets alone that there are embeddings of."""
        return replace(
            dataset,
            tests={name: source for name, source in dataset.tests.items() if name in self.sets},
            validation=dataset.validation if "validation" in self.sets else None,
            train_foreground=dataset.train_foreground if "train-foreground" in self.sets else None,
            adversarial={},
        )
