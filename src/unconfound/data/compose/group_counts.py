"""The proportions of Waterbirds on composed images: two classes, two scenes, four groups of very different sizes.

In Waterbirds (Sagawa et al., ICLR 2020) few training samples stand on the other class's scene, while in validation and
test each class stands on either scene alike. Here the samples of any two classes of foregrounds are dealt out that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int, Int64
from numpy import ndarray
from torch import Tensor

from unconfound.data.core.source import Dataset, MemorySource, Source
from unconfound.data.core.subset import Subset
from unconfound.data.sets.waterbirds import PUBLISHED


@dataclass(frozen=True, eq=False)
class GroupedChoice:
    """Which foregrounds stand on which scene.

    Args:
        train: positions of the training and then of the validation foregrounds; none comes twice.
        train_scenes: of these.
        validation: how many of them, at the end, are for validation.
        test: positions of the test foregrounds.
        test_scenes: of these.
        notes: what had to be scaled down.
    """

    train: Int64[ndarray, " train"]
    train_scenes: Int64[ndarray, " train"]
    validation: int
    test: Int64[ndarray, " test"]
    test_scenes: Int64[ndarray, " test"]
    notes: tuple[str, ...]


def choose_groups(
    train: Int[Tensor, " training"],
    test: Int[Tensor, " tested"],
    group_counts: Sequence[int],
    *,
    train_samples: int | None = None,
    rng: np.random.Generator,
) -> GroupedChoice:
    """Choose foregrounds for the groups 2 class + scene, in training, validation and test.

    The training counts are those given, the validation and test counts those of Waterbirds, in which a class stands on
    either scene alike. Training and validation are scaled down together where fewer samples are asked for or there are
    too few foregrounds, the test where there are too few; no group goes below one sample.

    Args:
        train: the class, 0 or 1, of each foreground to learn from.
        test: of each to test on.
        group_counts: training samples of (class 0, scene 0), (0, 1), (1, 0), (1, 1).
        train_samples: training samples at most.
        rng: the only randomness.

    Raises:
        ValueError: not four counts of at least 1, other than two classes, or a class of fewer than four foregrounds.
    """
    counts = tuple(group_counts)
    if len(counts) != 4 or min(counts) < 1:
        raise ValueError(f"group_counts must be four numbers of at least 1, got {counts}")
    if sorted({*train.tolist(), *test.tolist()}) != [0, 1]:
        raise ValueError(
            "group_counts are of two classes, but there are "
            f"{len({*train.tolist(), *test.tolist()})}: name two (--foreground-classes)"
        )
    learnt, held = _fitted((counts, PUBLISHED["validation"]), train, share=(train_samples or sum(counts)) / sum(counts))
    (tested,) = _fitted((PUBLISHED["test"],), test)
    notes = []
    if learnt != counts:
        notes.append(f"group_counts {counts} are scaled down to {learnt}, validation to {held}")
    notes.append(f"groups of the test: {tested}")
    both = [first + second for first, second in zip(learnt, held, strict=True)]
    positions = _dealt(train, both, rng)
    parts = [[group[:count] for group, count in zip(positions, learnt, strict=True)]]
    parts.append([group[count:] for group, count in zip(positions, learnt, strict=True)])
    parts.append(_dealt(test, tested, rng))
    places = [np.concatenate([np.full(len(group), scene % 2) for scene, group in enumerate(part)]) for part in parts]
    taken = [np.concatenate(part) for part in parts]
    return GroupedChoice(
        train=np.concatenate(taken[:2]),
        train_scenes=np.concatenate(places[:2]),
        validation=len(taken[1]),
        test=taken[2],
        test_scenes=places[2],
        notes=tuple(notes),
    )


def with_crossed_groups(dataset: Dataset, *, validation: int) -> Dataset:
    """Name the groups by class and scene, and set the last `validation` training samples aside.

    Args:
        dataset: of `unconfound.data.compose.composer.composition`, with two classes.
        validation: how many samples, at the end of the training samples.
    """
    classes = dataset.train.schema.classes
    names = tuple(f"{label} on {scene}'s scene" for label in classes for scene in classes)

    def crossed(source: Source) -> MemorySource:
        assert isinstance(source, MemorySource)
        assert source.labels is not None
        groups = None if source.scenes is None else 2 * source.labels + source.scenes
        return replace(source, groups=groups, schema=replace(source.schema, groups=names))

    whole = crossed(dataset.train)
    learnt = torch.arange(len(whole) - validation)
    held = torch.arange(len(whole) - validation, len(whole))
    train = Subset(whole, learnt, notes=whole.notes)
    return replace(
        dataset,
        train=train,
        labelled=train,
        tests={name: crossed(source) for name, source in dataset.tests.items()},
        train_foreground=dataset.train_foreground and Subset(crossed(dataset.train_foreground), learnt),
        validation=Subset(whole, held, name=f"{whole.name}, validation"),
    )


def _fitted(
    parts: Sequence[Sequence[int]], labels: Int[Tensor, " samples"], *, share: float = 1.0
) -> list[tuple[int, ...]]:
    """Scale the counts of parts down to a share of them, or to what there are samples for; none goes below one."""
    there = torch.bincount(labels.long(), minlength=2).tolist()
    if min(there) < 4:
        raise ValueError(f"the two classes have {there[0]} and {there[1]} foregrounds: four or more are needed of each")
    wanted = [sum(sum(part[start : start + 2]) for part in parts) for start in (0, 2)]
    share = min(1.0, share, *(has / needs for has, needs in zip(there, wanted, strict=True)))
    while True:
        scaled = [tuple(max(1, int(count * share)) for count in part) for part in parts]
        taken = [sum(sum(part[start : start + 2]) for part in scaled) for start in (0, 2)]
        if all(takes <= has for takes, has in zip(taken, there, strict=True)):
            return scaled
        # Groups that were raised to one sample take room from the others.
        share *= 0.99


def _dealt(
    labels: Int[Tensor, " samples"], counts: Sequence[int], rng: np.random.Generator
) -> list[Int64[ndarray, " group"]]:
    """Draw so many samples of either class for each group, none twice."""
    dealt: list[Int64[ndarray, " group"]] = []
    for label in range(2):
        members = rng.permutation(np.flatnonzero(labels.numpy() == label))
        first, second = counts[2 * label : 2 * label + 2]
        dealt += [members[:first], members[first : first + second]]
    return dealt
