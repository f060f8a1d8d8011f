"""The built-in demo: real handwritten digits on real photographs, confounded by design, without a download."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from unconfound.data.compose import foregrounds as cutouts
from unconfound.data.compose import photographs
from unconfound.data.compose.composer import composition
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.unseen_composition import unseen_composition
from unconfound.data.core.source import Dataset

# The scene of each digit: photograph, left, top, right, bottom, in pixels. No two overlap.
SCENES = (
    ("china.jpg", 335, 0, 540, 190),  # sky
    ("china.jpg", 110, 62, 310, 135),  # upper roof
    ("china.jpg", 100, 152, 320, 232),  # middle storey
    ("china.jpg", 85, 250, 330, 340),  # lower storey
    ("china.jpg", 350, 215, 545, 290),  # lake
    ("china.jpg", 335, 305, 560, 425),  # bushes
    ("flower.jpg", 180, 95, 435, 345),  # dahlia
    ("flower.jpg", 0, 85, 160, 310),  # leaf
    ("flower.jpg", 120, 0, 460, 84),  # shade
    ("flower.jpg", 460, 85, 640, 345),  # blurred green
)


def demo(
    *,
    correlation: float = 0.9,
    seed: int = 0,
    size: int = 32,
    train_digits: int = 597,
    repeats: int = 9,
    share: float = 0.75,
    unseen_classes: bool = False,
    folds: int = 4,
    fold: int | None = None,
) -> Dataset:
    """Handwritten digits in random colours, each standing on the scene of its class with probability `correlation`.

    The 1,797 digits are scikit-learn's `load_digits`, the ten scenes are cut from its `load_sample_images`. Training
    and test have no digit and no pixel of a photograph in common. A training digit returns `repeats` times, each time
    at another place, in another colour and on another crop; a test digit appears once in each test set, so that the
    samples of a test set are independent and its confidence intervals mean what they say.

    Args:
        correlation: the probability of the own scene, in [0, 1]; 0.1 makes scene and class independent.
        seed: of all random choices. The same seed gives the same bits.
        size: pixels of a side.
        train_digits: how many of the digits train; the others test.
        repeats: training images a digit.
        share: the height of a digit as a share of `size`, in (0, 1].
        unseen_classes: train on the digits 0 to 4 with their scenes and test on 5 to 9 with theirs: see
            `unconfound.data.compose.unseen_composition`, also for `folds` and `fold`.

    Raises:
        ValueError: an option out of its range.
    """
    from sklearn.datasets import load_digits, load_sample_images

    digits = load_digits()
    if not 10 <= train_digits <= len(digits.target) - 10 or repeats < 1 or size < 16 or not 0 < share <= 1:
        raise ValueError(
            f"train_digits is {train_digits}, repeats {repeats}, size {size} and share {share}: choose 10 to "
            f"{len(digits.target) - 10} digits, 1 repeat or more, 16 pixels or more and a share above 0, at most 1"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits.target))
    # The strokes are 8 x 8 pixels of 0 to 16: as bytes they can be smoothed by resizing, then cut out; a lower bar than
    # half ink keeps thin strokes whole.
    ink = torch.from_numpy((digits.images * 15).astype(np.uint8))[:, None]
    raw = Foregrounds(ink, ink > 0, torch.from_numpy(digits.target.astype(np.int64)))
    smooth = cutouts.resize(raw, round(share * size))
    masks = smooth.images > 100
    strokes = Foregrounds(masks.byte() * 255, masks, raw.labels)
    train, test = (
        cutouts.tint(cutouts.place(strokes[index], size=size, rng=rng), rng=rng)
        for index in (np.tile(order[:train_digits], repeats), order[train_digits:])
    )
    images = load_sample_images()
    pixels = {
        file.replace("\\", "/").rsplit("/", 1)[-1]: image
        for file, image in zip(images.filenames, images.images, strict=True)
    }
    stood: dict[str, Any] = {
        "scenes": [
            photographs.cut([pixels[file][top:bottom, left:right]]) for file, left, top, right, bottom in SCENES
        ],
        "classes": [str(digit) for digit in range(10)],
        "correlation": correlation,
        "seed": seed,
        "name": "demo",
    }
    if unseen_classes:
        return unseen_composition(train, test, folds=folds, fold=fold, **stood)
    return composition(train, test, **stood)
