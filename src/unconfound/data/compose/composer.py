"""Foregrounds composed onto scenes that give their class away: a data set whose background is confounded by design.

The test sets are those of the Backgrounds Challenge (Xiao et al., "Noise or Signal: The Role of Image Backgrounds in
Object Recognition", ICLR 2021):

| here | there | what is seen |
| --- | --- | --- |
| original | Original | the foreground as in training: on its own scene as often as there |
| mixed-same | Mixed-Same | the foreground on another crop of its own class's scene |
| mixed-rand | Mixed-Rand | the foreground on a crop of a uniformly random class's scene |
| only-foreground | Only-FG | the foreground on black |
| only-background | No-FG | the scene of "original" with nothing before it: unlike there, no hole is left in it |

Here every background is known where the foreground covers it, and every mask is exact, so nothing of the class leaks
from a filled hole or from a wrong outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from unconfound.data.compose import foregrounds as cutouts
from unconfound.data.compose import photographs
from unconfound.data.compose.composites import Scenery, as_dataset, swapped_sets, training_set
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.group_counts import GroupedChoice, choose_groups, with_crossed_groups
from unconfound.data.compose.unseen_composition import unseen_composition
from unconfound.data.core.source import Dataset


def composition(
    train: Foregrounds,
    test: Foregrounds,
    scenery: Scenery,
    *,
    notes: Sequence[str] = (),
    standing: tuple[Int64[ndarray, " train"], Int64[ndarray, " test"]] | None = None,
) -> Dataset:
    """Stand foregrounds on scenes, each on the scene of its own class with probability `correlation`.

    Otherwise a foreground stands on a uniformly random other class's scene, so 1 / classes makes scene and class
    independent. The groups are class x scene-matches ("3, own scene" and "3, other scene"). The same seed gives the
    same crops and bits everywhere, and at another correlation only the choice of scenes changes.

    Args:
        train: foregrounds on a square of the size of the data set, with three channels (`foregrounds.place`).
        test: likewise; the samples of every test set, in this order.
        scenery: where they stand; the correlation is that in training and in "original".
        notes: for the run's log.
        standing: the scene of each training sample and of each sample of "original", instead of a draw.

    Raises:
        ValueError: a class without a scene.
    """
    trained, tested = standing or (None, None)
    training = training_set(train, scenery, notes=notes, standing=trained)
    return as_dataset(training, swapped_sets(test, scenery, standing=tested))


@dataclass(frozen=True, kw_only=True)
class Composition:
    """How foregrounds are put on photographs.

    Args:
        correlation: the probability of the own scene, in [0, 1].
        seed: of all random choices.
        size: pixels per side.
        share: the longer side of a foreground as a share of `size`, in (0, 1]; what is left over is room to move.
        colour: give grayscale foregrounds a random bright colour each.
        threshold: without masks, the foreground is what is brighter than this, of 255.
        train_samples: number of training images; each foreground once where None, again where there are too few.
        test_samples: number of test images; at most the test foregrounds, each of which is used once.
        classes: the names of the classes to keep, all where None.
        scenes: the file names of the photographs of each class; where None, they are drawn by the seed.
        photographs_per_class: number of photographs drawn for each class.
        group_counts: of two classes, how many training samples stand on which scene, instead of a correlation: see
            `unconfound.data.compose.group_counts`, which also says what is tested on; `test_samples` is of no effect
            then.
        unseen_classes: test on other classes and other scenes than are trained on: see
            `unconfound.data.compose.unseen_composition`, also for `folds` and `fold`. The foregrounds may have been
            divided so.
        folds: blocks of the classes to train on.
        fold: the block to validate on, or None.

    Raises:
        ValueError: a share or a size out of its range, or groups beside unseen classes.
    """

    correlation: float = 0.9
    seed: int = 0
    size: int = 32
    share: float = 0.8
    colour: bool = True
    threshold: int = 32
    train_samples: int | None = None
    test_samples: int | None = None
    classes: Sequence[str] | None = None
    scenes: dict[str, Sequence[str]] | None = None
    photographs_per_class: int = 1
    group_counts: Sequence[int] | None = None
    unseen_classes: bool = False
    folds: int = 4
    fold: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.size < 2:
            raise ValueError(
                f"share is {self.share} and size {self.size}: choose a share above 0, at most 1, and 2 pixels or more"
            )
        if self.unseen_classes and self.group_counts is not None:
            raise ValueError(
                f"group_counts {tuple(self.group_counts)} are of two classes: unseen classes need four or more"
            )


def composition_from(foregrounds: Dataset, photographs_folder: Path, how: Composition | None = None) -> Dataset:
    """Stand the foregrounds of any labelled images on any folder of photographs: see `composition`.

    Args:
        foregrounds: images with masks, or grayscale ones on black (MNIST, Fashion-MNIST); "test" among its tests.
        photographs_folder: a folder of photographs.
        how: correlation, size, classes and the like; by default those of `Composition`.

    Raises:
        FileNotFoundError: no such folder, or a photograph that is named is not in it.
        ValueError: no test foregrounds, an unknown class, too few photographs, groups of other than two classes, or too
            few classes to divide.
    """
    how = how or Composition()
    if "test" not in foregrounds.tests:
        raise ValueError(f"{foregrounds.train.name} has no test set: test foregrounds are needed")
    found, notes = photographs.read_photographs(Path(photographs_folder))
    known = foregrounds.train.schema.classes
    kept = tuple(known if how.classes is None else how.classes)
    for label in kept:
        if label not in known:
            raise ValueError(f"there is no class {label!r}: choose from {', '.join(known)}")
    rng = np.random.default_rng([how.seed, 4])
    named = (
        photographs.deal(sorted(found), kept, each=how.photographs_per_class, rng=rng)
        if how.scenes is None
        else how.scenes
    )
    labels = [known.index(label) for label in kept]
    cut_out = [
        cutouts.of_classes(
            cutouts.read_foregrounds(source, threshold=how.threshold), labels, all_there=not how.unseen_classes
        )
        for source in (foregrounds.labelled or foregrounds.train, foregrounds.tests["test"])
    ]
    choice: GroupedChoice | None = None
    if how.group_counts is not None:
        first, second = (part.labels for part in cut_out)
        choice = choose_groups(first, second, how.group_counts, train_samples=how.train_samples, rng=rng)
    elif how.test_samples is not None and how.test_samples > len(cut_out[1]):
        raise ValueError(f"{how.test_samples} test samples are asked for: choose 1 to {len(cut_out[1])}")
    parts: list[Foregrounds] = []
    for part, wanted in zip(cut_out, (how.train_samples, how.test_samples), strict=True):
        grouped = None if choice is None else choice.test if parts else choice.train
        index = _turns(len(part), wanted, rng) if grouped is None else grouped
        placed = cutouts.place(cutouts.resize(part[index], max(1, round(how.share * how.size))), size=how.size, rng=rng)
        parts.append(cutouts.tint(placed, rng=rng) if how.colour and part.images.shape[1] == 1 else placed)
    scenery = Scenery(
        scenes=[photographs.cut(photographs.pick(found, named, label), stripes=2) for label in kept],
        classes=kept,
        correlation=how.correlation,
        seed=how.seed,
        name=f"{foregrounds.train.name} on {Path(photographs_folder).name}",
    )
    if choice is None:
        return stood(parts[0], parts[1], scenery, how, notes=notes)
    standing = choice.train_scenes, choice.test_scenes
    dataset = composition(parts[0], parts[1], scenery, notes=[*notes, *choice.notes], standing=standing)
    return with_crossed_groups(dataset, validation=choice.validation)


def stood(
    train: Foregrounds, test: Foregrounds, scenery: Scenery, how: Composition, *, notes: Sequence[str] = ()
) -> Dataset:
    """Stand foregrounds on scenes, tested on the classes that are trained on or, if so asked, on others."""
    if how.unseen_classes:
        return unseen_composition(train, test, scenery, folds=how.folds, fold=how.fold, notes=notes)
    return composition(train, test, scenery, notes=notes)


def _turns(count: int, wanted: int | None, rng: np.random.Generator) -> Int64[ndarray, " chosen"]:
    """Choose each of `count` once before any a second time."""
    wanted = count if wanted is None else wanted
    if wanted < 1:
        raise ValueError(f"{wanted} samples are asked for: choose 1 or more")
    return np.concatenate([rng.permutation(count) for _ in range(-(-wanted // count))])[:wanted]
