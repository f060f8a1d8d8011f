"""Foregrounds on scenes, tested on foregrounds and scenes of classes that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unconfound.data.compose import foregrounds as cutouts
from unconfound.data.compose.composites import VALIDATION, as_dataset, swapped_sets, training_set
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.photographs import Scene
from unconfound.data.core.source import Dataset
from unconfound.data.divide.unseen_classes import class_notes, pool_and_test, pool_blocks


def unseen_composition(
    train: Foregrounds,
    test: Foregrounds,
    scenes: Sequence[Scene],
    *,
    classes: Sequence[str],
    folds: int = 4,
    fold: int | None = None,
    correlation: float = 0.9,
    seed: int = 0,
    name: str = "composition",
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
        scenes: one a class.
        classes: one name a scene, in the order by which they are divided: see `unseen.pool_and_test`.
        folds: blocks of the classes to train on: see `unseen.pool_blocks`.
        fold: the block to validate on, or None.
        correlation: the probability of the own scene, in [0, 1], in training, in validation and in "original".
        seed: of all random choices here.
        name: how logs and reports call the data set.
        notes: for the run's log.

    Raises:
        ValueError: fewer than two classes in a part, or a correlation outside [0, 1].
    """
    pool, tested = pool_and_test({*train.labels.tolist()}, {*test.labels.tolist()}, name=name)
    learnt, validated = (pool, []) if fold is None else pool_blocks(pool, folds=folds, fold=fold)

    def of(kept: Sequence[int]) -> dict[str, Any]:
        return {
            "scenes": [scenes[label] for label in kept],
            "classes": [classes[label] for label in kept],
            "correlation": correlation,
            "seed": seed,
        }

    training = training_set(cutouts.of_classes(train, learnt), name=f"{name}, train", **of(learnt))
    tests = swapped_sets(cutouts.of_classes(test, tested), name=name, **of(tested))
    validation = None
    if validated:
        held = cutouts.of_classes(train, validated)
        validation = training_set(held, name=f"{name}, validation", stream=VALIDATION, **of(validated))
    shown = {"train": training, "validation": validation, "original": tests["original"]}
    training.notes = (*notes, *class_notes({key: part for key, part in shown.items() if part is not None}))
    return as_dataset(training, tests, name=name, validation=validation, restore={"unseen_classes": True})
