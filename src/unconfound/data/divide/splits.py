"""Training and test parts of data that come without them."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.core.subset import divided


def train_test_indices(
    count: int, labels: Int[Tensor, " count"] | None, test_share: float, seed: int
) -> tuple[Int[Tensor, " train"], Int[Tensor, " test"]]:
    """Split the positions 0, 1, ..., count - 1 at random, each class in the same proportion.

    Every class of two or more samples has at least one sample on either side; the sample of a class that has only one
    is for training, and so are samples without a label (-1). How a class is split does not depend on the others.

    Args:
        count: number of samples.
        labels: [count] class of each sample, or None: all are of one kind.
        test_share: share of the samples to test on, in [0, 1); 0 leaves the test part empty.
        seed: the same seed gives the same split.

    Returns:
        the positions to train on and those to test on, each in ascending order.

    Raises:
        ValueError: `test_share` is outside of [0, 1), or `labels` has another length than `count`.
    """
    check_test_share(test_share)
    if labels is not None and len(labels) != count:
        raise ValueError(f"{len(labels)} labels for {count} samples: one label a sample is needed")
    labels = torch.zeros(count, dtype=torch.long) if labels is None else labels
    chosen = torch.zeros(count, dtype=torch.bool)
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().squeeze(1)
        if label < 0 or len(members) < 2 or test_share == 0:
            continue
        generator = torch.Generator().manual_seed((seed * 1_000_003 + label) % 2**63)
        tested = min(max(1, round(test_share * len(members))), len(members) - 1)
        chosen[members[torch.randperm(len(members), generator=generator)[:tested]]] = True
    return (~chosen).nonzero().squeeze(1), chosen.nonzero().squeeze(1)


def check_test_share(test_share: float) -> None:
    """Raise a ValueError where `test_share` is not a number in [0, 1)."""
    if not (math.isfinite(test_share) and 0 <= test_share < 1):
        raise ValueError(f"test_share is {test_share}: it must be at least 0 (no test part) and below 1")


def drawn_test(
    count: int, labels: Int[Tensor, " count"] | None, test_share: float, seed: int
) -> tuple[dict[str, Int[Tensor, " part"]], list[str]]:
    """Return the positions of "train" and "test" by `train_test_indices`, and a note that says so."""
    train, test = train_test_indices(count, labels, test_share, seed)
    note = (
        f"no test part: {len(test):,} of {count:,} samples, {test_share:.0%} of each class, were drawn for the test "
        f"(seed {seed})"
    )
    return {"train": train, "test": test}, [note] if test_share else []


def with_test(dataset: Dataset, test_share: float, *, seed: int) -> Dataset:
    """Draw a test part from the training samples of a data set that has none, which a note says."""
    if dataset.tests or not test_share:
        return dataset
    whole = dataset.train
    parts, notes = drawn_test(len(whole), whole.labels, test_share, seed)
    return divided(whole, parts, restore=dataset.restore, notes=[*whole.notes, *notes])
