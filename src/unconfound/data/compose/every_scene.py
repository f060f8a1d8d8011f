"""Foregrounds on backgrounds of every class, for the adversarial score of the Backgrounds Challenge.

There (Xiao et al., "Noise or Signal: The Role of Image Backgrounds in Object Recognition", ICLR 2021) every foreground
is put before every background of the test set, and counts as robust only if no background of another class changes the
answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.changed import ChangedSource
from unconfound.data.core.source import Dataset, Source


class OnBackground(ChangedSource):
    """The foregrounds of `base`, all on one background, put together when they are asked for.

    Args:
        base: images with masks.
        background: one image of the same size.
        scene: the class whose background it is.
        name: how logs and reports call it.
    """

    def __init__(self, base: Source, background: Tensor, *, scene: int, name: str) -> None:
        super().__init__(base)
        self.background, self.name, self.notes = background, name, ()
        self.groups, self.scenes = None, torch.full((len(base),), scene)

    def changed(self, batch: Batch) -> Batch:
        if batch.masks is None:
            raise ValueError(f"{self.base.name} has no masks: other backgrounds need to know the foregrounds")
        assert isinstance(batch.inputs, Tensor)
        return replace(batch, inputs=torch.where(batch.masks, batch.inputs, self.background), groups=None)


def every_scene(dataset: Dataset, *, backgrounds_per_class: int | None = 1, seed: int = 0) -> dict[str, Source]:
    """Stand the test foregrounds on backgrounds of every class, the same for all of them.

    Backgrounds are those of the test set "only-background": on compositions the scenes with nothing before them, in
    ImageNet-9 Only-BG-T, as in the challenge. Nothing is held in memory but the backgrounds themselves.

    Args:
        dataset: with the test sets "original", whose foregrounds are known by masks, and "only-background".
        backgrounds_per_class: how many are drawn of each class; None: all, which the challenge has (4,050 each with
            4,050 foregrounds).
        seed: of the draw.

    Returns:
        Test sources, whose `scenes` say whose background it is; only classes that have a background are there.

    Raises:
        ValueError: the test sets are missing, or their samples have no classes.
    """
    if not {"original", "only-background"} <= dataset.tests.keys():
        raise ValueError(
            f"{dataset.train.name} has no test sets original and only-background: give masks of the foregrounds"
        )
    original, bare = dataset.tests["original"], dataset.tests["only-background"]
    classes = bare.labels if bare.scenes is None else bare.scenes
    if classes is None:
        raise ValueError(f"{bare.name} has no classes: it must be known whose background is whose")
    rng = np.random.default_rng(seed)
    found: dict[str, Source] = {}
    for scene, label in enumerate(bare.schema.classes):
        places = rng.permutation(np.flatnonzero(classes.numpy() == scene))[:backgrounds_per_class]
        for number, (batch, place) in enumerate(
            zip(bare.batches(torch.tensor([position]) for position in places), places, strict=True), 1
        ):
            assert isinstance(batch.inputs, Tensor)
            name = f"background {number} of {label}"
            found[name] = OnBackground(
                original, batch.inputs[0], scene=scene, name=f"{original.name}, {name} ({place})"
            )
    return found
