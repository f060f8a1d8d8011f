"""Fewer samples on request: to learn from, and to evaluate on."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset


def fewer_to_learn(dataset: Dataset, samples: int, *, seed: int, by_class: bool = False) -> Dataset:
    """Keep so many training samples; all labelled ones where only some carry labels.

    Args:
        dataset: of which the test and validation parts stay whole.
        samples: to keep; where there are no more, the data set is returned as it is.
        seed: of the draw.
        by_class: keep each class in the same proportion.
    """
    count = len(dataset.train)
    if samples >= count:
        return dataset
    positions = some_positions(count, samples, seed=seed, labels=dataset.train.labels if by_class else None)
    notes = (*dataset.train.notes, f"{samples:,} of {count:,} training samples, as asked")
    train = Subset(dataset.train, positions, notes=notes)
    if dataset.labelled is not dataset.train:
        return replace(dataset, train=train)
    foreground = dataset.train_foreground and Subset(dataset.train_foreground, positions)
    return replace(dataset, train=train, labelled=train, train_foreground=foreground)


def fewer_to_test(dataset: Dataset, samples: int, *, seed: int, by_class: bool = False) -> Dataset:
    """Keep so many samples of each test set, the same positions of all that are equally long.

    Args:
        dataset: of which the training and validation parts stay whole.
        samples: to keep of each test set.
        seed: of the draw.
        by_class: keep each class in the same proportion.
    """
    tests: dict[str, Source] = {
        name: Subset(
            source, some_positions(len(source), samples, seed=seed, labels=source.labels if by_class else None)
        )
        for name, source in dataset.tests.items()
    }
    return replace(dataset, tests=tests)


def some_positions(
    count: int, wanted: int, *, seed: int, labels: Int[Tensor, " count"] | None = None
) -> Int[Tensor, " wanted"]:
    """Draw positions out of 0, ..., count - 1 without repetition, ascending; all of them where there are no more.

    Args:
        count: of the samples.
        wanted: how many to draw.
        seed: of the draw.
        labels: of the samples, to draw of each class in the same proportion; None: all are alike.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if labels is not None:
        # The k-th sample of a class of n stands at (k + 1/2) / n: any beginning of this order has n / count of it.
        place = torch.empty(count, dtype=torch.double)
        for label in labels.unique():
            members = order[labels[order] == label]
            place[members] = (torch.arange(len(members)).double() + 0.5) / len(members)
        order = order[place[order].argsort(stable=True)]
    return order[:wanted].sort().values
