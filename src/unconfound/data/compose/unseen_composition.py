"""Foregrounds on scenes, tested on foregrounds and scenes of classes that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unconfound.data.compose import foregrounds as cutouts
from unconfound.data.compose.composites import VALIDATION, Scenery, as_dataset, swapped_sets, training_set
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.core.source import Dataset, Source
from unconfound.data.divide.unseen_classes import class_notes, pool_and_test, pool_blocks


def unseen_composition(
    train: Foregrounds,
    test: Foregrounds,
    scenery: Scenery,
    *,
    folds: int = 4,
    fold: int | None = None,
    notes: Sequence[str] = (),
) -> Dataset:
    """Stand foregrounds on scenes as `composer.composition` does, with classes and scenes of its own for each part.

    A foreground stands on the scenes of its own part's classes only: nothing of a scene to test or validate on is seen
    in training, and none that was trained on is seen in the test, not in "mixed-rand" either. Test foregrounds of the
    pool's classes, and training foregrounds of the others, are left out. The validation part is made as the training
    part is. Neither test sets nor the scene of a class depend on the fold.

    Args:
        train: foregrounds on a square of the size of the data set, with three channels (`foregrounds.place`).
        test: likewise.
        scenery: where they stand, its classes in the order by which they are divided: see `unseen.pool_and_test`. The
            correlation is that in training, in validation and in "original".
        folds: blocks of the classes to train on: see `unseen.pool_blocks`.
        fold: the block to validate on, or None.
        notes: for the run's log.

    Raises:
        ValueError: fewer than two classes in a part.
    """
    pool, tested = pool_and_test({*train.labels.tolist()}, {*test.labels.tolist()}, name=scenery.name)
    learnt, validated = (pool, []) if fold is None else pool_blocks(pool, folds=folds, fold=fold)
    training = training_set(cutouts.of_classes(train, learnt), scenery.of(learnt))
    tests = swapped_sets(cutouts.of_classes(test, tested), scenery.of(tested))
    shown: dict[str, Source] = {"train": training}
    if validated:
        held = cutouts.of_classes(train, validated)
        shown["validation"] = training_set(held, scenery.of(validated), part="validation", stream=VALIDATION)
    training.notes = (*notes, *class_notes({**shown, "original": tests["original"]}))
    dataset = as_dataset(training, tests, validation=shown.get("validation"))
    return replace(dataset, restore=dataset.restore | {"unseen_classes": True})
