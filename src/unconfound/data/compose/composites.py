"""Foregrounds on scenes as sources: a set to train on, and the test sets of the same foregrounds.

`unconfound.data.compose.composer` says what the test sets show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from torch import Tensor

from unconfound.data.compose import photographs
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.photographs import Scene
from unconfound.data.compose.swaps import foreground_only
from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.images.reading import image_restore

# The streams of random numbers, of which no one shifts another's choices.
TRAIN, ORIGINAL, MIXED_SAME, MIXED_RAND = range(4)
VALIDATION = 6


@dataclass(frozen=True, eq=False, kw_only=True)
class Scenery:
    """Where the foregrounds of a data set stand.

    Args:
        scenes: one a class. Training foregrounds see their training regions only, test foregrounds the others.
        classes: one name a scene.
        correlation: the probability of the own scene, in [0, 1].
        seed: of all random choices.
        name: how logs and reports call the data set.

    Raises:
        ValueError: a correlation outside [0, 1], or fewer than two scenes.
    """

    scenes: Sequence[Scene]
    classes: Sequence[str]
    correlation: float = 0.9
    seed: int = 0
    name: str = "composition"

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise ValueError(f"correlation is {self.correlation}: choose a probability from 0 to 1")
        if len(self.scenes) < 2 or len(self.classes) != len(self.scenes):
            raise ValueError(
                f"{len(self.classes)} classes and {len(self.scenes)} scenes: give two classes or more and as many "
                "scenes"
            )

    def of(self, kept: Sequence[int]) -> Scenery:
        """Return the scenes of some classes."""
        scenes = [self.scenes[label] for label in kept]
        return replace(self, scenes=scenes, classes=[self.classes[label] for label in kept])


def training_set(
    foregrounds: Foregrounds,
    scenery: Scenery,
    *,
    part: str = "train",
    stream: int = TRAIN,
    notes: Sequence[str] = (),
    standing: Int64[ndarray, " samples"] | None = None,
) -> MemorySource:
    """Stand foregrounds on training regions of scenes, each on that of its own class with probability `correlation`.

    Args:
        foregrounds: on a square of the size of the data set, with three channels.
        scenery: where they stand.
        part: how logs and reports call it, after the name of the data set.
        stream: of random numbers under the seed.
        notes: for the run's log.
        standing: the scene of each sample, instead of a draw.

    Raises:
        ValueError: a class without a scene.
    """
    own = _labels(foregrounds, scenery)
    rng = np.random.default_rng([scenery.seed, stream])
    if standing is None:
        standing = _choose_scenes(own, scenery, rng)
    pixels = photographs.crops(scenery.scenes, standing, split="train", size=foregrounds.images.shape[-1], rng=rng)
    source = _source(part, foregrounds, pixels, standing, scenery)
    source.notes = tuple(notes)
    return source


def swapped_sets(
    foregrounds: Foregrounds, scenery: Scenery, *, standing: Int64[ndarray, " samples"] | None = None
) -> dict[str, MemorySource]:
    """Stand the same foregrounds in the same order on test regions of scenes in the five ways of `composer`.

    Args and errors are those of `training_set`; `standing` and the correlation are of "original" and "only-background".
    """
    own, scenes = _labels(foregrounds, scenery), scenery.scenes
    streams = [np.random.default_rng([scenery.seed, role]) for role in range(4)]
    if standing is None:
        standing = _choose_scenes(own, scenery, streams[ORIGINAL])

    def drawn(which: Int64[ndarray, " crops"], role: int) -> UInt8[Tensor, "crops 3 size size"]:
        return photographs.crops(scenes, which, split="test", size=foregrounds.images.shape[-1], rng=streams[role])

    background = drawn(standing, ORIGINAL)
    random_scenes = streams[MIXED_RAND].integers(len(scenes), size=len(foregrounds))
    # The groups say what stands in each picture, so they differ between the test sets.
    pictures = {
        "original": (background, standing),
        "mixed-same": (drawn(own, MIXED_SAME), own),
        "mixed-rand": (drawn(random_scenes, MIXED_RAND), random_scenes),
    }
    tests = {key: _source(key, foregrounds, pixels, where, scenery) for key, (pixels, where) in pictures.items()}
    bare = foreground_only(tests["original"], name=f"{scenery.name}, only-foreground")
    tests["only-foreground"] = replace(bare, groups=None, scenes=None)
    nothing = Foregrounds(foregrounds.images, torch.zeros_like(foregrounds.masks), foregrounds.labels)
    tests["only-background"] = _source("only-background", nothing, background, standing, scenery)
    return tests


def as_dataset(train: MemorySource, tests: Mapping[str, Source], *, validation: Source | None = None) -> Dataset:
    """Put what `training_set` and `swapped_sets` return together."""
    return Dataset(
        train=train,
        tests=dict(tests),
        labelled=train,
        train_foreground=foreground_only(train, name=f"{train.name}, only foreground"),
        restore=image_restore(train.schema),
        validation=validation,
    )


def _labels(foregrounds: Foregrounds, scenery: Scenery) -> Int64[ndarray, " samples"]:
    """Return the labels, one scene for each of which is there."""
    labels, last = foregrounds.labels.numpy().astype(np.int64), len(scenery.scenes) - 1
    if not len(labels) or labels.min() < 0 or labels.max() > last:
        raise ValueError(f"labels must run from 0 to {last}, one for each of the scenes")
    return labels


def _choose_scenes(
    own: Int64[ndarray, " samples"], scenery: Scenery, rng: np.random.Generator
) -> Int64[ndarray, " samples"]:
    """The own scene with probability `correlation`, else a uniformly random other one."""
    count = len(scenery.scenes)
    stays = rng.random(len(own)) < scenery.correlation
    step = rng.integers(1, count, size=len(own))
    return np.where(stays, own, (own + step) % count)


def _source(
    part: str,
    foregrounds: Foregrounds,
    background: UInt8[Tensor, "samples 3 size size"],
    standing: Int64[ndarray, " samples"],
    scenery: Scenery,
) -> MemorySource:
    """One set of composites."""
    scenes = torch.from_numpy(standing)
    matches = tuple(f"{label}, {match} scene" for label in scenery.classes for match in ("own", "other"))
    return MemorySource(
        name=f"{scenery.name}, {part}",
        schema=Schema("images", tuple(background.shape[1:]), tuple(scenery.classes), matches),
        inputs=torch.where(foregrounds.masks, foregrounds.images, background),
        labels=foregrounds.labels,
        groups=2 * foregrounds.labels + (scenes != foregrounds.labels),
        scenes=scenes,
        masks=foregrounds.masks,
    )
