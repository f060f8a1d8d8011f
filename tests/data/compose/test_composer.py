from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.composer import Composition, composition, composition_from
from unconfound.data.compose.composites import Scenery
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.photographs import Scene

SWAPS = ["original", "mixed-same", "mixed-rand", "only-foreground", "only-background"]


def flat_scenes(classes: int) -> list[Scene]:
    """Scenes of one colour: 10 + class in the training region, 110 + class in the test region."""

    def region(value: int) -> tuple[np.ndarray, ...]:
        return (np.full((20, 20, 3), value, np.uint8),)

    return [Scene(region(10 + scene), region(110 + scene)) for scene in range(classes)]


def blocks(count: int, classes: int, size: int = 8) -> Foregrounds:
    """A white block in the middle; the class is in the label only."""
    masks = torch.zeros(count, 1, size, size, dtype=torch.bool)
    masks[..., 2:5, 3:6] = True
    return Foregrounds(masks.expand(-1, 3, -1, -1).byte() * 255, masks, torch.arange(count) % classes)


def compose(train: int = 400, test: int = 400, classes: int = 5, **options: object) -> Dataset:
    names = [f"class {label}" for label in range(classes)]
    scenery = Scenery(scenes=flat_scenes(classes), classes=names, **options)
    return composition(blocks(train, classes), blocks(test, classes), scenery)


def scene_of(source: MemorySource) -> torch.Tensor:
    return source.inputs[:, 0, 0, 0].long() % 100 - 10


def test_what_each_set_shows() -> None:
    dataset = compose(correlation=0.7)
    assert list(dataset.tests) == SWAPS
    assert dataset.labelled is dataset.train
    masks = blocks(400, 5).masks.expand(-1, 3, -1, -1)
    composites = [dataset.train, *(dataset.tests[name] for name in SWAPS[:3])]
    for source in composites:
        assert (source.inputs[masks] == 255).all()
        background = source.inputs.masked_fill(masks, 0).amax((2, 3), keepdim=True).expand_as(masks)
        assert source.inputs[~masks].equal(background[~masks])
        assert source.masks.equal(masks[:, :1])
    assert (dataset.train.inputs[:, 0, 0, 0] < 100).all()
    assert all((dataset.tests[name].inputs[:, 0, 0, 0] > 100).all() for name in SWAPS[:3])
    for black, whole in (
        (dataset.train_foreground, dataset.train),
        (dataset.tests["only-foreground"], dataset.tests["original"]),
    ):
        assert black.inputs.equal(whole.inputs * masks)
        assert black.labels.equal(whole.labels)
    original, bare = dataset.tests["original"], dataset.tests["only-background"]
    assert bare.inputs[~masks].equal(original.inputs[~masks])
    assert bare.inputs.equal(bare.inputs[:, :, :1, :1].expand_as(bare.inputs))
    assert not bare.masks.any()
    assert scene_of(dataset.tests["mixed-same"]).equal(original.labels)


def test_groups_say_whether_the_scene_matches() -> None:
    dataset = compose(correlation=0.5)
    names = dataset.train.schema.groups
    assert names[:2] == ("class 0, own scene", "class 0, other scene")
    assert dataset.tests["only-foreground"].groups is None
    for source in (dataset.train, *(dataset.tests[name] for name in SWAPS if name != "only-foreground")):
        matches = scene_of(source) == source.labels
        for group, label, match in zip(source.groups.tolist(), source.labels.tolist(), matches.tolist(), strict=True):
            assert names[group] == f"class {label}, {'own' if match else 'other'} scene"


@settings(deadline=None, max_examples=12)
@given(correlation=st.floats(0, 1), classes=st.integers(2, 9), seed=st.integers(0, 2**32))
def test_the_scenes_follow_the_correlation(correlation: float, classes: int, seed: int) -> None:
    count = 300 * classes
    dataset = compose(count, count, classes, correlation=correlation, seed=seed)
    for source in (dataset.train, dataset.tests["original"]):
        shift = (scene_of(source) - source.labels) % classes
        expected = torch.tensor([correlation] + [(1 - correlation) / (classes - 1)] * (classes - 1)) * count
        assert ((shift.bincount(minlength=classes) - expected).abs() <= 6 * expected.sqrt() + 1e-3).all()
    shift = (scene_of(dataset.tests["mixed-rand"]) - source.labels) % classes
    assert ((shift.bincount(minlength=classes) - 300).abs() < 6 * 300**0.5).all()


def test_the_seed_decides_and_the_correlation_changes_only_scenes() -> None:
    first, again, other, weaker = (
        compose(correlation=correlation, seed=seed) for correlation, seed in ((0.9, 0), (0.9, 0), (0.9, 1), (0.4, 0))
    )
    for name in SWAPS:
        assert first.tests[name].inputs.equal(again.tests[name].inputs)
    assert first.train.inputs.equal(again.train.inputs)
    assert not first.train.inputs.equal(other.train.inputs)
    assert not first.train.inputs.equal(weaker.train.inputs)
    for name in ("mixed-same", "mixed-rand", "only-foreground"):
        assert first.tests[name].inputs.equal(weaker.tests[name].inputs)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"correlation": 1.1}, "correlation is 1.1"),
        ({"correlation": float("nan")}, "correlation is nan"),
        ({"classes": 1}, "1 classes and 1 scenes"),
        ({"train": 0}, "labels must run from 0 to 4"),
    ],
)
def test_compositions_that_cannot_be(options: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        compose(**options)


def garments(count: int = 40, seed: int = 0) -> Dataset:
    """Grey images on black, four classes, as Fashion-MNIST has them."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 1, 12, 12, dtype=torch.uint8)
    images[..., 3:9, 4:8] = torch.randint(100, 256, (count, 1, 6, 4), generator=generator, dtype=torch.uint8)
    schema = Schema("images", (1, 12, 12), ("coat", "bag", "shirt", "boot"))
    parts = [
        MemorySource(name, schema, images[half], (torch.arange(count) % 4)[half])
        for name, half in (("toy", slice(0, count // 2)), ("toy test", slice(count // 2, None)))
    ]
    return Dataset(parts[0], {"test": parts[1]}, parts[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(rng.integers(256, size=(40, 60, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_any_foregrounds_on_any_folder(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no image")
    dataset = composition_from(garments(), folder, Composition(size=16, seed=3))
    assert len(dataset.train) == 20
    assert [len(source) for source in dataset.tests.values()] == [20] * 5
    assert dataset.train.schema.shape == (3, 16, 16)
    assert dataset.train.labels.bincount().tolist() == [5] * 4
    assert dataset.restore == {"kind": "images", "image_size": 16, "channels": 3}
    assert any("broken.jpg" in note for note in dataset.train.notes)
    unresized = composition_from(garments(), folder, Composition(size=16, share=0.75))
    assert unresized.train.masks.sum((1, 2, 3)).tolist() == [24] * 20
    again = composition_from(garments(), folder, Composition(size=16, seed=3))
    assert dataset.train.inputs.equal(again.train.inputs)


def test_samples_are_repeated_or_left_out_as_asked(folder: Path) -> None:
    dataset = composition_from(
        garments(), folder, Composition(classes=["boot", "bag"], train_samples=24, test_samples=6, size=16)
    )
    assert dataset.train.schema.classes == ("boot", "bag")
    assert len(dataset.tests["original"]) == 6
    # Ten foregrounds, 24 samples: each twice or thrice.
    assert sorted(dataset.train.labels.bincount().tolist()) in ([12, 12], [11, 13], [10, 14])


def test_grey_stays_grey_when_asked(folder: Path) -> None:
    black = composition_from(garments(), folder, Composition(size=16, colour=False)).train_foreground.inputs
    assert black[:, :1].expand_as(black).equal(black)
    tinted = composition_from(garments(), folder, Composition(size=16)).train_foreground.inputs
    assert not tinted[:, :1].expand_as(tinted).equal(tinted)


def test_named_photographs_are_the_scenes(folder: Path) -> None:
    for name, value in (("red", 250), ("dark", 20)):
        Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(folder / f"{name}.png")
    dataset = composition_from(
        garments(),
        folder,
        Composition(
            size=16, correlation=1.0, classes=["bag", "coat"], scenes={"bag": ["red.png"], "coat": ["dark.png"]}
        ),
    )
    bare = dataset.tests["only-background"]
    assert bare.inputs[:, 0, 0, 0].tolist() == [[250, 20][label] for label in bare.labels.tolist()]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"classes": ["bag", "hat"]}, ValueError, "no class 'hat': choose from coat, bag"),
        ({"share": 1.5}, ValueError, "share is 1.5"),
        ({"train_samples": 0}, ValueError, "0 samples"),
        ({"test_samples": 21}, ValueError, "choose 1 to 20"),
        ({"scenes": {"bag": ["0.png"]}}, ValueError, "no photograph for the class 'coat'"),
        (
            {"classes": ["bag", "coat"], "scenes": {"bag": ["9.png"], "coat": ["0.png"]}},
            FileNotFoundError,
            "9.png",
        ),
    ],
)
def test_options_out_of_range(folder: Path, options: dict, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        composition_from(garments(), folder, Composition(size=16, **options))


def test_each_class_needs_a_photograph(folder: Path) -> None:
    (folder / "0.png").unlink()
    (folder / "1.png").unlink()
    with pytest.raises(ValueError, match="3 photographs for 4 classes"):
        composition_from(garments(), folder, Composition(size=16))


def test_foregrounds_without_a_test_set(folder: Path) -> None:
    dataset = garments()
    with pytest.raises(ValueError, match="has no test set"):
        composition_from(Dataset(dataset.train, {}), folder)


def test_real_garments_on_real_photographs(data_root: Path) -> None:
    named = pytest.importorskip("unconfound.data.sets.mnist")
    pytest.importorskip("torchvision")
    dataset = composition_from(
        named.fashion_mnist(data_root),
        data_root / "BSDS500" / "images" / "val",
        Composition(train_samples=2000, test_samples=1000),
    )
    assert dataset.train.inputs.shape == (2000, 3, 32, 32)
    assert 0.1 < dataset.train.masks.float().mean() < 0.6
    own = (dataset.train.groups % 2 == 0).float().mean()
    assert own == pytest.approx(0.9, abs=0.04)
