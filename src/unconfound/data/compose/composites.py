"""Foregrounds on scenes as sources: a set to train on, and the test sets of the same foregrounds.

`unconfound.data.compose.composer` says what the test sets show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

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

# The streams of random numbers, of which no one shifts another's choices.
TRAIN, ORIGINAL, MIXED_SAME, MIXED_RAND = range(4)
VALIDATION = 6


def training_set(
    foregrounds: Foregrounds,
    scenes: Sequence[Scene],
    *,
    classes: Sequence[str],
    correlation: float,
    seed: int,
    name: str,
    stream: int = TRAIN,
    notes: Sequence[str] = (),
    standing: Int64[ndarray, " samples"] | None = None,
) -> MemorySource:
    """Stand foregrounds on training regions of scenes, each on that of its own class with probability `correlation`.

    Args:
        foregrounds: on a square of the size of the data set, with three channels.
        scenes: one a class.
        classes: one name a scene.
        correlation: the probability of the own scene, in [0, 1].
        seed: of all random choices here.
        name: how logs and reports call it.
        stream: of random numbers under that seed.
        notes: for the run's log.
        standing: the scene of each sample, instead of a draw.

    Raises:
        ValueError: a correlation outside [0, 1], fewer than two scenes, or a class without a scene.
    """
    own = _checked(foregrounds, scenes, classes, correlation)
    rng = np.random.default_rng([seed, stream])
    if standing is None:
        standing = _choose_scenes(own, len(scenes), correlation, rng)
    pixels = photographs.crops(scenes, standing, split="train", size=foregrounds.images.shape[-1], rng=rng)
    return _source(name, foregrounds, pixels, standing=standing, classes=classes, notes=notes)


def swapped_sets(
    foregrounds: Foregrounds,
    scenes: Sequence[Scene],
    *,
    classes: Sequence[str],
    correlation: float,
    seed: int,
    name: str,
    standing: Int64[ndarray, " samples"] | None = None,
) -> dict[str, MemorySource]:
    """Stand the same foregrounds in the same order on test regions of scenes in the five ways of `composer`.

    Args and errors are those of `training_set`; `standing` and `correlation` are of "original" and "only-background".
    """
    own = _checked(foregrounds, scenes, classes, correlation)
    streams = [np.random.default_rng([seed, role]) for role in range(4)]
    if standing is None:
        standing = _choose_scenes(own, len(scenes), correlation, streams[ORIGINAL])

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
    tests = {
        key: _source(f"{name}, {key}", foregrounds, pixels, standing=where, classes=classes)
        for key, (pixels, where) in pictures.items()
    }
    bare = foreground_only(tests["original"], name=f"{name}, only-foreground")
    tests["only-foreground"] = replace(bare, groups=None, scenes=None)
    nothing = Foregrounds(foregrounds.images, torch.zeros_like(foregrounds.masks), foregrounds.labels)
    tests["only-background"] = _source(
        f"{name}, only-background", nothing, background, standing=standing, classes=classes
    )
    return tests


def as_dataset(
    train: MemorySource,
    tests: Mapping[str, Source],
    *,
    name: str,
    validation: Source | None = None,
    restore: Mapping[str, object] = MappingProxyType({}),
) -> Dataset:
    """Put what `training_set` and `swapped_sets` return together; `restore` is added to what reads new images alike."""
    size = train.schema.shape[-1]
    return Dataset(
        train=train,
        tests=dict(tests),
        labelled=train,
        train_foreground=foreground_only(train, name=f"{name}, train, only foreground"),
        restore={"kind": "images", "image_size": size, "channels": 3, **restore},
        validation=validation,
    )


def _checked(
    foregrounds: Foregrounds, scenes: Sequence[Scene], classes: Sequence[str], correlation: float
) -> Int64[ndarray, " samples"]:
    """Return the labels, one scene for each of which is there."""
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation is {correlation}: choose a probability from 0 to 1")
    if len(scenes) < 2 or len(classes) != len(scenes):
        raise ValueError(
            f"{len(classes)} classes and {len(scenes)} scenes: give two classes or more and as many scenes"
        )
    labels = foregrounds.labels.numpy().astype(np.int64)
    if not len(labels) or labels.min() < 0 or labels.max() >= len(scenes):
        raise ValueError(f"labels must run from 0 to {len(scenes) - 1}, one for each of the scenes")
    return labels


def _choose_scenes(
    own: Int64[ndarray, " samples"], scenes: int, correlation: float, rng: np.random.Generator
) -> Int64[ndarray, " samples"]:
    """The own scene with probability `correlation`, else a uniformly random other one."""
    stays = rng.random(len(own)) < correlation
    step = rng.integers(1, scenes, size=len(own))
    return np.where(stays, own, (own + step) % scenes)


def _source(
    name: str,
    foregrounds: Foregrounds,
    background: UInt8[Tensor, "samples 3 size size"],
    *,
    standing: Int64[ndarray, " samples"],
    classes: Sequence[str],
    notes: Sequence[str] = (),
) -> MemorySource:
    """One set of composites."""
    size = background.shape[-1]
    scenes = torch.from_numpy(standing)
    matches = [f"{label}, {match} scene" for label in classes for match in ("own", "other")]
    return MemorySource(
        name=name,
        schema=Schema("images", (3, size, size), tuple(classes), tuple(matches)),
        inputs=torch.where(foregrounds.masks, foregrounds.images, background),
        labels=foregrounds.labels,
        groups=2 * foregrounds.labels + (scenes != foregrounds.labels),
        scenes=scenes,
        masks=foregrounds.masks,
        notes=tuple(notes),
    )
