"""Fewer samples on request: to learn from, and to judge on."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.source import Dataset, Source
from unconfound.data.subset import Subset


def fewer_to_learn(dataset: Dataset, samples: int, *, seed: int) -> Dataset:
    """Keep so many training samples; all labelled ones where only some carry labels.

    Args:
        dataset: of which the test and validation parts stay whole.
        samples: to keep; where there are no more, the data set is returned as it is.
        seed: of the draw.
    """
    count = len(dataset.train)
    if samples >= count:
        return dataset
    positions = some_positions(count, samples, seed=seed)
    notes = (*dataset.train.notes, f"{samples:,} of {count:,} training samples, as asked")
    train = Subset(dataset.train, positions, notes=notes)
    if dataset.labelled is not dataset.train:
        return replace(dataset, train=train)
    foreground = dataset.train_foreground and Subset(dataset.train_foreground, positions)
    return replace(dataset, train=train, labelled=train, train_foreground=foreground)


def fewer_to_judge(dataset: Dataset, samples: int, *, seed: int) -> Dataset:
    """Keep so many samples of each test set, the same positions of all that are equally long."""
    tests: dict[str, Source] = {
        name: Subset(source, some_positions(len(source), samples, seed=seed)) for name, source in dataset.tests.items()
    }
    return replace(dataset, tests=tests)


def some_positions(count: int, wanted: int, *, seed: int) -> Int[Tensor, " wanted"]:
    """Draw positions out of 0, ..., count - 1 without repetition, ascending; all of them where there are no more."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:wanted].sort().values
