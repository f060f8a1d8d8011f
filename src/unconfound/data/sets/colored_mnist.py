"""Colored MNIST in three published forms: a colour that goes along with the digit, in training at least."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from unconfound.data.compose.composer import composition
from unconfound.data.compose.composites import Scenery
from unconfound.data.compose.foregrounds import Foregrounds, read_foregrounds
from unconfound.data.compose.photographs import Scene
from unconfound.data.core.source import Dataset, MemorySource, Schema, Source
from unconfound.data.images.reading import image_restore
from unconfound.data.sets.mnist import mnist
from unconfound.options.data_sets import PublicSet

COLORED_MNIST = PublicSet(
    name="colored-mnist",
    modality="images",
    about="MNIST in colours that go with the class: --colouring ten, irm, square",
    paper="irm: Arjovsky, Bottou, Gulrajani and Lopez-Paz, Invariant Risk Minimization, 2019; square: Asgari et al., "
    "MaskTune, NeurIPS 2022; of MNIST",
    source="http://yann.lecun.com/exdb/mnist/",
    reader="sets.colored_mnist:colored_mnist",
    folders=("MNIST/raw",),
    image_size=28,
    counts={"training images": 60_000, "test images": 10_000},
)
Colouring = Literal["ten", "irm", "square"]
Digits = tuple[UInt8[Tensor, "digits height width"], Int[Tensor, " digits"]]

HALVES = ("0 to 4", "5 to 9")
# Of "irm": how often the colour is not that of the label, in the two training environments and in the test.
FLIPS, TEST_FLIPS, LABEL_NOISE = (0.1, 0.2), 0.9, 0.25
# Of "square": the share of conflicting samples, the side in pixels, the colours of the two classes.
CONFLICTING, SIDE, SQUARES = 0.01, 4, ((255, 0, 0), (0, 0, 255))
_ENVIRONMENT = 25_000


def colored_mnist(
    root: Path | None, *, colouring: Colouring = "ten", correlation: float = 0.9, seed: int = 0
) -> Dataset:
    """Colour the digits of MNIST, 3 x 28 x 28, everything drawn by the seed.

    "ten" (ours, after the digits with nuisance backgrounds of Asgari et al., ICML 2021): ten classes, grey digits on a
    flat colour, which is the class's own with probability `correlation` and else a uniformly random other class's. The
    test sets, masks and groups are those of `unconfound.data.compose.composer.composition`, where a scene is a colour
    here; so "mixed-rand" has colours independent of the class. "unseen-colours" has ten colours that lie between those.

    "irm" (Arjovsky et al., "Invariant Risk Minimization", 2019): digits below 5 are class 0, the others 1, and a
    quarter of the labels is flipped, in every part. A digit is red where its label is 1 and green where it is 0, but
    for one in ten of the first training environment, one in five of the second (25,000 digits each), and nine in ten
    of the test. The groups of the training samples are these environments, which is what invariance is asked of; the
    test has none. `scenes` is the class of the colour. The paper's images have two channels of 14 x 14 pixels; here
    they keep 28 x 28 and have a third, black channel. It tests on the last 10,000 training digits, which here are the
    validation part, coloured as in training, half like either environment; tested are MNIST's own test digits.

    "square" (Asgari et al., "MaskTune", NeurIPS 2022): the same two classes without label noise, grey digits on black,
    and in a corner a square of 4 x 4 pixels in the colour of the class, but of the other class for one sample in a
    hundred. The corner (upper left) and the colours (red, blue) are our choice. Tested on are "original" (as in
    training), "conflicting" (the other class's square on all) and "no-square". The groups are class x own or other
    square.

    Args:
        root: the folder that holds `MNIST/raw`, or that folder itself.
        colouring: which form.
        correlation: of "ten", in [0, 1].
        seed: of all random choices.

    Raises:
        FileNotFoundError: files of MNIST are missing.
        ValueError: an unknown form, a correlation outside [0, 1], or a damaged file.
    """
    if colouring not in ("ten", "irm", "square"):
        raise ValueError(f"colouring is {colouring!r}: use ten, irm or square")
    digits = mnist(root)
    if colouring == "ten":
        return _ten(digits, correlation, seed)
    train, test = _digits(digits.train), _digits(digits.tests["test"])
    rng = np.random.default_rng([seed, 5])
    data = _irm(train, test, rng) if colouring == "irm" else _square(train, test, rng)
    return replace(data, restore=image_restore(data.train.schema))


def _ten(digits: Dataset, correlation: float, seed: int) -> Dataset:
    train, test = (read_foregrounds(source) for source in (digits.train, digits.tests["test"]))
    train, test = (Foregrounds(each.images.expand(-1, 3, -1, -1), each.masks, each.labels) for each in (train, test))
    classes, size = digits.train.schema.classes, train.images.shape[-1]
    seen, unseen = _colours(len(classes), shift=0.0), _colours(len(classes), shift=0.5)
    flat = [np.broadcast_to(colour, (size, size, 3)) for colour in seen.numpy()]
    scenes = [Scene((colour,), (colour,)) for colour in flat]
    scenery = Scenery(scenes=scenes, classes=classes, correlation=correlation, seed=seed, name="colored-mnist")
    data = composition(train, test, scenery)
    chosen = unseen[torch.from_numpy(np.random.default_rng([seed, 5]).integers(len(unseen), size=len(test)))]
    original = data.tests["original"]
    assert isinstance(original, MemorySource)
    elsewhere = replace(
        original,
        name="colored-mnist, unseen-colours",
        inputs=torch.where(test.masks, test.images, chosen[:, :, None, None]),
        groups=None,
        scenes=None,
    )
    return replace(data, tests={**data.tests, "unseen-colours": elsewhere})


def _colours(count: int, *, shift: float) -> UInt8[Tensor, "colours 3"]:
    """Return saturated colours of middle brightness whose hues are evenly spaced; `shift` is in steps between them."""
    sector = (torch.tensor([5.0, 3.0, 1.0]) + 6 * (torch.arange(count)[:, None] + shift) / count) % 6
    return (150 * (1 - torch.minimum(sector, 4 - sector).clamp(0, 1))).round().to(torch.uint8)


def _irm(train: Digits, test: Digits, rng: np.random.Generator) -> Dataset:
    images, numbers = train
    order = torch.from_numpy(rng.permutation(len(images) - len(images) // 6))
    # Of 60,000 digits: two environments of 25,000 each and 10,000 to validate on, half coloured as in either.
    half = min(_ENVIRONMENT, len(order) // 2)
    left = torch.arange(len(images) - len(images) // 6, len(images))
    names = [f"colours flipped {share:.0%}" for share in FLIPS]
    noted = [] if half == _ENVIRONMENT else [f"subset: environments of {half:,} of {_ENVIRONMENT:,} digits"]

    def part(
        name: str, chosen: Digits, flips: Float[Tensor, " digits"], groups: Int[Tensor, " digits"] | None
    ) -> MemorySource:
        pixels, written = chosen
        noise, turned = torch.from_numpy(rng.random((2, len(written))))
        labels = (written >= 5).long() ^ (noise < LABEL_NOISE).long()
        colours = labels ^ (turned < flips).long()
        inputs = torch.zeros(len(labels), 3, *pixels.shape[1:], dtype=torch.uint8)
        # Red, channel 0, is the colour of label 1.
        inputs[torch.arange(len(labels)), 1 - colours] = pixels
        schema = Schema("images", tuple(inputs.shape[1:]), HALVES, tuple(names))
        return MemorySource(name, schema, inputs, labels, groups, scenes=colours)

    def environments(name: str, positions: Int[Tensor, " digits"]) -> MemorySource:
        groups = (torch.arange(len(positions)) >= len(positions) // 2).long()
        return part(name, (images[positions], numbers[positions]), torch.tensor(FLIPS).double()[groups], groups)

    training = environments("colored-mnist", order[: 2 * half])
    training.notes = noted
    tested = part("colored-mnist test", test, torch.full((len(test[1]),), TEST_FLIPS).double(), None)
    validation = environments("colored-mnist validation", left)
    return Dataset(train=training, tests={"test": tested}, labelled=training, validation=validation)


def _square(train: Digits, test: Digits, rng: np.random.Generator) -> Dataset:
    groups = [f"{label}, {match} square" for label in HALVES for match in ("own", "other")]

    def part(name: str, digits: Digits, conflicting: Bool[Tensor, " digits"] | None) -> MemorySource:
        pixels, labels = digits[0][:, None], (digits[1] >= 5).long()
        inputs, masks = pixels.repeat(1, 3, 1, 1), pixels > 32
        schema = Schema("images", tuple(inputs.shape[1:]), HALVES, tuple(groups))
        if conflicting is None:
            return MemorySource(name, schema, inputs, labels, masks=masks)
        colours = labels ^ conflicting.long()
        inputs[:, :, :SIDE, :SIDE] = torch.tensor(SQUARES, dtype=torch.uint8)[colours][:, :, None, None]
        masks[:, :, :SIDE, :SIDE] = False
        return MemorySource(
            name, schema, inputs, labels, groups=2 * labels + conflicting.long(), masks=masks, scenes=colours
        )

    def few(count: int) -> Bool[Tensor, " digits"]:
        return torch.from_numpy(rng.random(count)) < CONFLICTING

    training = part("colored-mnist", train, few(len(train[1])))
    tests: dict[str, Source] = {
        "original": part("colored-mnist, original", test, few(len(test[1]))),
        "conflicting": part("colored-mnist, conflicting", test, torch.ones(len(test[1]), dtype=torch.bool)),
        "no-square": part("colored-mnist, no-square", test, None),
    }
    return Dataset(train=training, tests=tests, labelled=training)


def _digits(source: Source) -> Digits:
    assert isinstance(source, MemorySource)
    assert source.labels is not None
    return source.inputs[:, 0], source.labels
