"""The built-in demo: real handwritten digits on real photographs, confounded by design, without a download."""

from __future__ import annotations

import numpy as np
import torch

from unconfound.data.compose import foregrounds as cutouts
from unconfound.data.compose import photographs
from unconfound.data.compose.composer import Composition, stood
from unconfound.data.compose.composites import Scenery
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.core.source import Dataset

# The height of a digit as a share of the picture's.
SHARE = 0.75
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


def digits_on_scenes(how: Composition | None = None, *, train_digits: int = 597, repeats: int = 9) -> Dataset:
    """Handwritten digits in random colours, each standing on the scene of its class with probability `correlation`.

    The 1,797 digits are scikit-learn's `load_digits`, the ten scenes are cut from its `load_sample_images`. Training
    and test have no digit and no pixel of a photograph in common. A training digit returns `repeats` times, each time
    at another place, in another colour and on another crop; a test digit appears once in each test set, so that the
    samples of a test set are independent and its confidence intervals mean what they say.

    Args:
        how: correlation (0.1 makes scene and class independent), seed, size (16 pixels or more) and share, here the
            height of a digit, 0.75 by default. With unseen classes, the digits 0 to 4 with their scenes are trained on
            and 5 to 9 with theirs are tested on. The rest is of no effect.
        train_digits: how many of the digits train; the others test.
        repeats: training images a digit.

    Raises:
        ValueError: an option out of its range.
    """
    from sklearn.datasets import load_digits, load_sample_images

    how, digits = how or Composition(share=SHARE), load_digits()
    if not 10 <= train_digits <= len(digits.target) - 10 or repeats < 1 or how.size < 16:
        raise ValueError(
            f"train_digits is {train_digits}, repeats {repeats} and size {how.size}: choose 10 to "
            f"{len(digits.target) - 10} digits, 1 repeat or more and 16 pixels or more"
        )
    rng = np.random.default_rng(how.seed)
    order = rng.permutation(len(digits.target))
    # The strokes are 8 x 8 pixels of 0 to 16: as bytes they can be smoothed by resizing, then cut out; a lower bar than
    # half ink keeps thin strokes whole.
    ink = torch.from_numpy((digits.images * 15).astype(np.uint8))[:, None]
    raw = Foregrounds(ink, ink > 0, torch.from_numpy(digits.target.astype(np.int64)))
    smooth = cutouts.resize(raw, round(how.share * how.size))
    masks = smooth.images > 100
    strokes = Foregrounds(masks.byte() * 255, masks, raw.labels)
    train, test = (
        cutouts.tint(cutouts.place(strokes[index], size=how.size, rng=rng), rng=rng)
        for index in (np.tile(order[:train_digits], repeats), order[train_digits:])
    )
    images = load_sample_images()
    pixels = {
        file.replace("\\", "/").rsplit("/", 1)[-1]: image
        for file, image in zip(images.filenames, images.images, strict=True)
    }
    scenery = Scenery(
        scenes=[photographs.cut([pixels[file][top:bottom, left:right]]) for file, left, top, right, bottom in SCENES],
        classes=[str(digit) for digit in range(10)],
        correlation=how.correlation,
        seed=how.seed,
        name="demo",
    )
    return stood(train, test, scenery, how)
