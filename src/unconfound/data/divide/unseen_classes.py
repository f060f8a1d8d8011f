"""Training on some classes and testing on others: how metric learning is evaluated.

The division is that of "A Metric Learning Reality Check" (Musgrave, Belongie and Lim, ECCV 2020): classes in their
order, the first half a pool for cross-validation, the second half for the test; the pool in contiguous blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from unconfound.data.core.joined import joined
from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.data.divide.class_subset import ClassSubset


def with_unseen_classes(dataset: Dataset, *, folds: int = 4, fold: int | None = None) -> Dataset:
    """Divide a labelled data set by classes, so that it is tested, and validated, on classes that it does not train on.

    `pool_and_test` says which classes are for what. Where the test parts have classes of their own, they stay as they
    are. Where the classes are halved, the samples of training and test are joined and divided by class, if there is one
    test part, it has groups as the training part has or none as that one, and both are in memory or in one folder. If
    not (the same foregrounds on several backgrounds, a domain held out), the pool's training samples train, and the
    other classes' test samples are tested on.

    A validation part of the data set itself is kept where all its classes are its own and no fold is asked for; else
    its samples are divided like the others. Samples without a label are left out. Every part names its own classes
    only, and its labels start at 0.

    Args:
        dataset: with labels.
        folds: blocks of the pool: see `pool_blocks`.
        fold: the block to validate on, 0 to folds - 1; None: the whole pool trains, and there is no validation part.

    Raises:
        ValueError: there are no labels, fewer than two classes to train on or to test on, or more folds than the pool
            can be cut into.
    """
    labelled, name = dataset.labelled, dataset.train.name
    if labelled is None or any(test.labels is None for test in dataset.tests.values()):
        raise ValueError(f"{name} has samples of no known class: unseen classes need labels in every part")
    held, tests = dataset.validation, dataset.tests
    keeps = held is not None and fold is None and not _present([held]) & _present([labelled, *tests.values()])
    learning = [labelled] if held is None or keeps else [labelled, held]
    trained, tested = _present(learning), _present(tests.values())
    pool, test = pool_and_test(trained, tested, name=name)
    learnt, validated = (pool, []) if fold is None else pool_blocks(pool, folds=folds, fold=fold)
    if len(tests) <= 1 and (trained & tested or not tested):
        whole = joined([*learning, *tests.values()], name=name)
        if whole is not None:
            learning, tests = [whole], {"test": Subset(whole, torch.arange(len(whole)), name=f"{name} test")}
    source = joined(learning, name=name) or labelled
    foreground = dataset.train_foreground if source is labelled else None
    train = ClassSubset(source, learnt, name=name)
    parts: dict[str, Source] = {key: ClassSubset(each, test, notes=each.notes) for key, each in tests.items()}
    validation = None
    if held is not None and keeps:
        validation = ClassSubset(held, sorted(_present([held])), notes=held.notes)
    elif validated:
        validation = ClassSubset(source, validated, name=f"{name} validation")
    first = dict(list(parts.items())[:1])
    shown = {"train": train, **({} if validation is None else {"validation": validation}), **first}
    left_out = len(dataset.train) - len(labelled)
    train.notes = (
        *dataset.train.notes,
        *([f"{left_out:,} training samples without a label are left out"] if left_out else []),
        *class_notes(shown),
    )
    return replace(
        dataset,
        train=train,
        labelled=train,
        tests=parts,
        validation=validation,
        train_foreground=foreground and ClassSubset(foreground, learnt),
        restore=dataset.restore | {"unseen_classes": True},
    )


def check_shared_classes(dataset: Dataset) -> None:
    """Refuse a data set in which no class of a test part is trained on: a classifier could never be right there.

    Raises:
        ValueError: there is such a part.
    """
    trained = _present([] if dataset.labelled is None else [dataset.labelled])
    for name, test in dataset.tests.items():
        tested = _present([test])
        if trained and tested and not trained & tested:
            raise ValueError(
                f"{dataset.train.name} has no class of its part {name!r} in training: to be evaluated on classes that "
                "were not trained on, say --unseen-classes"
            )


def pool_and_test(trained: set[int], tested: set[int], *, name: str) -> tuple[list[int], list[int]]:
    """Divide classes into the pool to train and validate on, and those to test on.

    Where no class is trained and tested on, they are divided already. Else all classes, in ascending order, are halved:
    the first half is the pool. Of an odd number, the class in the middle is tested on.

    Args:
        trained: labels of the training samples.
        tested: labels of the test samples; may be empty.
        name: how an error calls the data set.

    Raises:
        ValueError: fewer than two classes on either side.
    """
    every = sorted(trained | tested)
    pool, test = every[: len(every) // 2], every[len(every) // 2 :]
    if tested and not trained & tested:
        pool, test = sorted(trained), sorted(tested)
    if min(len(pool), len(test)) < 2:
        raise ValueError(
            f"{name} has {len(every)} classes, {len(pool)} to train on and {len(test)} to test on: unseen classes need "
            "two or more of each; --no-unseen-classes tests on the classes that are trained on"
        )
    return pool, test


def pool_blocks(pool: Sequence[int], *, folds: int, fold: int) -> tuple[list[int], list[int]]:
    """Divide the pool's classes into those to train on and the contiguous block to validate on.

    Every block has len(pool) // folds classes. They are counted off from the end, so that fold 0 validates on the last
    classes, except for that of the last fold, which is the first classes. Where the pool cannot be cut evenly, the
    remaining classes behind that first block are trained on in all folds. These are the blocks of the Reality Check: of
    98 classes and 4 folds, [74, 98), [50, 74), [26, 50) and [0, 24).

    Args:
        pool: labels in their order.
        folds: number of blocks, at least 2.
        fold: 0 to folds - 1.

    Raises:
        ValueError: a fold out of its range, more folds than classes, or a block of one class, among whose samples
            every neighbour is right.
    """
    if not 0 <= fold < folds:
        raise ValueError(f"fold must be 0 to {folds - 1}, one of {folds} folds, got {fold}")
    size = len(pool) // folds
    if size < 2:
        raise ValueError(
            f"{folds} folds of {len(pool)} classes leave {size} to validate on, and two or more are needed: "
            + (f"give --folds {len(pool) // 2} or less" if len(pool) >= 4 else "leave --fold out")
        )
    start = 0 if fold == folds - 1 else len(pool) - (fold + 1) * size
    return [*pool[:start], *pool[start + size :]], list(pool[start : start + size])


def class_notes(parts: Mapping[str, Source]) -> list[str]:
    """Say how many classes and samples each part has, and how many of its classes have a single one."""
    notes: list[str] = []
    for name, part in parts.items():
        assert part.labels is not None
        classes = part.schema.classes
        counts = torch.bincount(part.labels, minlength=len(classes))
        notes.append(
            f"unseen classes: {name} has {len(classes):,}, {classes[0]} to {classes[-1]}; {len(part):,} samples"
        )
        if single := int((counts == 1).sum()):
            what = "it has no positive" if name == "train" else "nothing is searched for by it"
            notes.append(f"{single:,} of the {len(classes):,} classes of {name} have one sample: {what}")
    return notes


def _present(sources: Iterable[Source]) -> set[int]:
    """Return the labels that there are samples of."""
    found: set[int] = set()
    for source in sources:
        if source.labels is not None:
            found |= set(source.labels[source.labels >= 0].unique().tolist())
    return found
