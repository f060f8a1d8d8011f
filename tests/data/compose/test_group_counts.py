from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.composer import Composition, composition_from
from unconfound.data.compose.group_counts import choose_groups
from unconfound.data.load import DataOptions, load_dataset

WATERBIRDS = (3498, 184, 56, 1057)


def _crossed(labels, positions, scenes):
    return torch.bincount(2 * labels[torch.from_numpy(positions)] + torch.from_numpy(scenes), minlength=4).tolist()


def test_the_counts_of_waterbirds_where_there_are_foregrounds_enough():
    labels = torch.arange(12_000) % 2
    choice = choose_groups(labels, labels, WATERBIRDS, rng=np.random.default_rng(0))
    learnt = len(choice.train) - choice.validation
    assert _crossed(labels, choice.train[:learnt], choice.train_scenes[:learnt]) == list(WATERBIRDS)
    assert _crossed(labels, choice.train[learnt:], choice.train_scenes[learnt:]) == [467, 466, 133, 133]
    assert _crossed(labels, choice.test, choice.test_scenes) == [2255, 2255, 642, 642]
    assert choice.notes == ("groups of the test: (2255, 2255, 642, 642)",)


@settings(deadline=None, max_examples=30)
@given(
    counts=st.tuples(*[st.integers(1, 400)] * 4),
    there=st.integers(10, 600),
    asked=st.one_of(st.none(), st.integers(4, 900)),
    seed=st.integers(0, 99),
)
def test_scaled_counts_keep_their_proportions_and_no_foreground_comes_twice(counts, there, asked, seed):
    labels = torch.arange(2 * there) % 2
    choice = choose_groups(labels, labels, counts, train_samples=asked, rng=np.random.default_rng(seed))
    assert len(set(choice.train.tolist())) == len(choice.train)
    assert len(set(choice.test.tolist())) == len(choice.test)
    learnt = len(choice.train) - choice.validation
    given_counts = _crossed(labels, choice.train[:learnt], choice.train_scenes[:learnt])
    largest = counts.index(max(counts))
    low, high = given_counts[largest] / counts[largest], (given_counts[largest] + 1) / counts[largest]
    for got, wanted in zip(given_counts, counts, strict=True):
        assert max(1, int(low * wanted * (1 - 1e-9))) <= got <= max(1, high * wanted)
    assert asked is None or learnt <= max(asked + 3, 4)
    held = _crossed(labels, choice.train[learnt:], choice.train_scenes[learnt:])
    assert min(held) >= 1
    assert held[0] - held[1] in (0, 1)
    assert min(_crossed(labels, choice.test, choice.test_scenes)) >= 1


@pytest.mark.parametrize(
    ("counts", "classes", "match"),
    [
        ((1, 2, 3), 2, r"group_counts must be four numbers of at least 1, got \(1, 2, 3\)"),
        ((1, 2, 3, 0), 2, "four numbers of at least 1"),
        (WATERBIRDS, 3, r"group_counts are of two classes, but there are 3: name two \(--foreground-classes\)"),
        (WATERBIRDS, 1, "but there are 1"),
    ],
)
def test_counts_that_cannot_be(counts, classes, match):
    labels = torch.arange(60) % classes
    with pytest.raises(ValueError, match=match):
        choose_groups(labels, labels, counts, rng=np.random.default_rng(0))


def test_a_class_needs_four_foregrounds():
    labels = torch.tensor([0] * 9 + [1] * 3)
    with pytest.raises(ValueError, match="the two classes have 9 and 3 foregrounds: four or more"):
        choose_groups(labels, labels, WATERBIRDS, rng=np.random.default_rng(0))


def _garments(count: int = 400) -> Dataset:
    images = torch.zeros(count, 1, 12, 12, dtype=torch.uint8)
    images[..., 3:9, 4:8] = 200
    schema = Schema("images", (1, 12, 12), ("coat", "bag", "shirt", "boot"))
    parts = [MemorySource(name, schema, images, torch.arange(count) % 4) for name in ("toy", "toy test")]
    return Dataset(parts[0], {"test": parts[1]}, parts[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photographs of one colour each."""
    for number in range(10):
        Image.fromarray(np.full((40, 60, 3), 20 * number + 10, np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_a_composition_with_groups(folder: Path) -> None:
    data = composition_from(
        _garments(),
        folder,
        Composition(size=16, classes=["bag", "boot"], group_counts=(60, 6, 4, 20), photographs_per_class=3),
    )
    names = ("bag on bag's scene", "bag on boot's scene", "boot on bag's scene", "boot on boot's scene")
    assert data.train.schema.groups == data.tests["original"].schema.groups == names
    scaled = next(note for note in data.train.notes if "scaled down" in note)
    assert (
        scaled == ("group_counts (60, 6, 4, 20) are scaled down to (6, 1, 1, 2), validation to (46, 46, 13, 13)")
        or data.train.groups.bincount().tolist()[0] < 60
    )
    for source in (data.train, data.validation, data.tests["original"]):
        assert torch.equal(source.groups, 2 * source.labels + source.scenes)
    assert data.labelled is data.train
    assert len(data.train_foreground) == len(data.train)
    shades = {scene: set() for scene in range(2)}
    bare = data.tests["only-background"]
    for image, scene in zip(bare.inputs, bare.scenes.tolist(), strict=True):
        shades[scene].add(int(image[0, 0, 0]))
    assert [len(each) for each in shades.values()] == [3, 3]
    assert not shades[0] & shades[1]


def test_too_few_photographs_are_told(folder: Path) -> None:
    with pytest.raises(ValueError, match="10 photographs for 4 classes: each class needs 3 of its own"):
        composition_from(_garments(), folder, Composition(size=16, photographs_per_class=3))


@pytest.mark.parametrize("counts", [(1, 2), (0, 1, 1, 1)])
def test_options_out_of_range(counts):
    with pytest.raises(ValueError, match=r"group_counts must be .*at least 1"):
        DataOptions(group_counts=counts)
    with pytest.raises(ValueError, match="photographs_per_class must be at least 1, got 0"):
        DataOptions(photographs_per_class=0)


def test_real_garments_in_the_proportions_of_waterbirds(data_root: Path) -> None:
    pytest.importorskip("torchvision")
    options = {
        "data": "composition",
        "data_root": data_root,
        "foregrounds": "fashion-mnist",
        "photographs": data_root / "BSDS500" / "images" / "val",
        "photographs_per_class": 10,
        "foreground_classes": ("Pullover", "Coat"),
        "group_counts": WATERBIRDS,
    }
    data = load_dataset(DataOptions(**options))
    assert data.train.groups.bincount().tolist() == list(WATERBIRDS)
    assert data.validation.groups.bincount().tolist() == [467, 466, 133, 133]
    assert data.tests["original"].groups.bincount().tolist() == [500, 500, 142, 142]
    fewer = load_dataset(DataOptions(**options, train_samples=1000))
    assert fewer.train.groups.bincount().tolist() == [729, 38, 11, 220]
    assert len(fewer.validation) == 97 + 97 + 27 + 27
    for tint in (True, False):
        grey = load_dataset(DataOptions(**options, train_samples=100, tint=tint)).train_foreground
        (batch,) = grey.batches([torch.arange(50)])
        assert torch.equal(batch.inputs[:, 0], batch.inputs[:, 1]) is not tint
