from __future__ import annotations

import hashlib
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images
from sklearn.neighbors import KNeighborsClassifier

from unconfound.data import Dataset
from unconfound.data.compose.composer import Composition
from unconfound.data.compose.digits_on_scenes import SCENES, SHARE, digits_on_scenes


def _how(**options: float) -> Composition:
    return Composition(**{"share": SHARE, **options})


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return digits_on_scenes()


def test_shapes_and_names(dataset: Dataset) -> None:
    assert dataset.train.inputs.shape == (597 * 9, 3, 32, 32)
    assert list(dataset.tests) == [
        "original",
        "mixed-same",
        "mixed-rand",
        "only-foreground",
        "only-background",
    ]
    assert dataset.train.schema.classes == tuple("0123456789")
    assert dataset.train.schema.groups[6:8] == ("3, own scene", "3, other scene")
    for source in (dataset.train, *dataset.tests.values()):
        assert source.labels.unique().tolist() == list(range(10))
        assert source.inputs.dtype == torch.uint8
    assert all(len(source) == 1200 for source in dataset.tests.values())
    assert (dataset.train.groups % 2 == 0).float().mean() == pytest.approx(0.9, abs=0.015)


def test_digits_are_disjoint_and_of_the_right_class(dataset: Dataset) -> None:
    """Every digit appears once in a test set or `repeats` times in training, never in both."""
    digits = load_digits()
    classes = np.bincount(digits.target)
    trained = dataset.train.labels.bincount()
    tested = dataset.tests["original"].labels.bincount()
    assert (trained % 9 == 0).all()
    assert (trained // 9 + tested).tolist() == classes.tolist()

    def silhouettes(masks: torch.Tensor) -> set[bytes]:
        found = set()
        for mask in masks[:, 0]:
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            part = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            found.add(np.packbits(part.numpy()).tobytes() + bytes(part.shape))
        return found

    assert not silhouettes(dataset.train.masks) & silhouettes(dataset.tests["original"].masks)


def test_scenes_are_disjoint_and_lie_in_their_photographs() -> None:
    shapes = {
        name: image.shape for name, image in zip(("china.jpg", "flower.jpg"), load_sample_images().images, strict=True)
    }
    assert len(SCENES) == 10
    for file, left, top, right, bottom in SCENES:
        assert 0 <= left < right <= shapes[file][1]
        assert 0 <= top < bottom <= shapes[file][0]
    for first, second in combinations(SCENES, 2):
        apart = first[3] <= second[1] or second[3] <= first[1] or first[4] <= second[2] or second[4] <= first[2]
        assert first[0] != second[0] or apart, (first, second)


def test_the_seed_decides(dataset: Dataset) -> None:
    again, other = digits_on_scenes(), digits_on_scenes(_how(seed=1))
    for name, source in dataset.tests.items():
        assert source.inputs.equal(again.tests[name].inputs)
        assert not source.inputs.equal(other.tests[name].inputs)
    assert dataset.train.inputs.equal(again.train.inputs)
    # Neither numpy's generator nor Pillow's fixed-point resizing depends on the machine; decoding a JPEG may.
    digest = hashlib.sha256(dataset.train_foreground.inputs.numpy().tobytes()).hexdigest()
    assert digest == "875d2cb19014f78192d4898da8c3d69c49e035bcd5da51ba4c9f0fa7e481c711"


def test_scenes_give_the_class_away_only_when_confounded(dataset: Dataset) -> None:
    """Nearest neighbours among the bare test scenes: far above chance at 0.9, chance at 0.1."""
    for confounded in (dataset, digits_on_scenes(_how(correlation=0.1))):
        bare = confounded.tests["only-background"]
        pixels = bare.inputs.float().flatten(1).numpy()
        neighbours = KNeighborsClassifier(5).fit(pixels[:800], bare.labels[:800])
        accuracy = neighbours.score(pixels[800:], bare.labels[800:])
        assert accuracy > 0.6 if confounded is dataset else accuracy < 0.17


def test_colour_says_nothing_of_the_class(dataset: Dataset) -> None:
    source = dataset.train_foreground
    colours = source.inputs.flatten(2).amax(2).float()
    between = torch.stack([colours[source.labels == label].mean(0) for label in range(10)]).std(0)
    assert (between < 4 * colours.std(0) / 537**0.5).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"correlation": -0.1}, "correlation is -0.1"),
        ({"train_digits": 5}, "train_digits is 5"),
        ({"repeats": 0}, "repeats 0"),
        ({"size": 8}, "size 8"),
        ({"share": 0.0}, "share is 0.0"),
    ],
)
def test_options_out_of_range(options: dict[str, float], match: str) -> None:
    digits = {name: options.pop(name) for name in ("train_digits", "repeats") if name in options}
    with pytest.raises(ValueError, match=match):
        digits_on_scenes(_how(**options), **digits)
