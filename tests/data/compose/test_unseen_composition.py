import pytest
import torch

from data.compose.test_composer import SWAPS, blocks, flat_scenes, scene_of
from unconfound.data.compose.composer import Composition
from unconfound.data.compose.composites import Scenery
from unconfound.data.compose.digits_on_scenes import SHARE, digits_on_scenes
from unconfound.data.compose.foregrounds import Foregrounds
from unconfound.data.compose.unseen_composition import unseen_composition
from unconfound.data.load import DataOptions, load_dataset

NAMES = [f"class {label}" for label in range(9)]


def _compose(*, correlation=0.9, **options):
    scenery = Scenery(scenes=flat_scenes(9), classes=NAMES, correlation=correlation)
    return unseen_composition(blocks(450, 9), blocks(270, 9), scenery, **options)


def _seen(source, first):
    """Return the scenes that a source shows, as numbers among all classes, and whether each is its sample's own."""
    scenes = scene_of(source)
    return {*scenes.tolist()}, scenes == source.labels + first


def test_each_part_has_classes_and_scenes_of_its_own():
    data = _compose(correlation=0.7, folds=2, fold=0)
    assert data.train.schema.classes == ("class 0", "class 1")
    assert data.validation.schema.classes == ("class 2", "class 3")
    assert data.labelled is data.train
    assert list(data.tests) == SWAPS
    for source, first, scenes in (
        (data.train, 0, {0, 1}),
        (data.validation, 2, {2, 3}),
        (data.tests["original"], 4, {4, 5, 6, 7, 8}),
        (data.tests["mixed-rand"], 4, {4, 5, 6, 7, 8}),
    ):
        seen, own = _seen(source, first)
        assert seen == scenes
        assert source.scenes.tolist() == (scene_of(source) - first).tolist()
        names = source.schema.groups
        assert [names[group] for group in source.groups[:20]] == [
            f"{source.schema.classes[label]}, {'own' if match else 'other'} scene"
            for label, match in zip(source.labels[:20], own[:20], strict=True)
        ]
    for source, first, count in ((data.train, 0, 100), (data.validation, 2, 100), (data.tests["original"], 4, 150)):
        assert len(source) == count
        assert _seen(source, first)[1].float().mean() == pytest.approx(0.7, abs=0.15)
    assert _seen(data.tests["mixed-same"], 4)[1].all()
    assert _seen(data.tests["mixed-rand"], 4)[1].float().mean() == pytest.approx(0.2, abs=0.15)
    # Training regions are darker than 100 here, test regions brighter.
    assert max(int(part.inputs[:, :, 0, 0].max()) for part in (data.train, data.validation)) < 100
    assert data.tests["original"].inputs[:, :, 0, 0].min() > 100
    assert data.train_foreground.inputs.equal(data.train.inputs * data.train.masks)
    assert data.restore == {"kind": "images", "image_size": 8, "channels": 3, "unseen_classes": True}
    assert data.train.notes == (
        "unseen classes: train has 2, class 0 to class 1; 100 samples",
        "unseen classes: validation has 2, class 2 to class 3; 100 samples",
        "unseen classes: original has 5, class 4 to class 8; 150 samples",
    )


def test_test_sets_are_the_same_for_all_folds():
    folds = [_compose(folds=2, fold=fold) for fold in (None, 0, 1)]
    for other in folds[1:]:
        for name, source in other.tests.items():
            assert source.inputs.equal(folds[0].tests[name].inputs)
            assert source.labels.equal(folds[0].tests[name].labels)
    assert folds[0].validation is None
    assert folds[0].train.schema.classes == tuple(NAMES[:4])
    assert folds[1].train.schema.classes == folds[2].validation.schema.classes


def test_foregrounds_may_be_divided_already():
    train, test = blocks(60, 9), blocks(60, 9)
    train = Foregrounds(*(each[train.labels < 6] for each in (train.images, train.masks, train.labels)))
    test = Foregrounds(*(each[test.labels >= 6] for each in (test.images, test.masks, test.labels)))
    data = unseen_composition(train, test, Scenery(scenes=flat_scenes(9), classes=NAMES))
    assert data.train.schema.classes == tuple(NAMES[:6])
    assert data.tests["original"].schema.classes == tuple(NAMES[6:])
    assert len(data.tests["original"]) == len(test)


def test_the_demo_holds_five_digits_out():
    data = digits_on_scenes(Composition(share=SHARE, unseen_classes=True, folds=2, fold=1))
    whole = digits_on_scenes()
    assert data.train.schema.classes == tuple("234")
    assert data.validation.schema.classes == tuple("01")
    assert data.tests["original"].schema.classes == tuple("56789")
    # The same digits as without division, in the same place and colour.
    kept = whole.tests["original"].labels >= 5
    assert data.tests["only-foreground"].inputs.equal(whole.tests["only-foreground"].inputs[kept])


def test_real_letters_on_photographs(data_root):
    letters = [f"{name}/character{number:02}" for name in ("Balinese", "Tagalog") for number in range(1, 11)]
    data = load_dataset(
        DataOptions(
            data="composition",
            foregrounds="omniglot",
            data_root=data_root,
            foreground_classes=tuple(letters),
            photographs=data_root / "BSDS500/images/val",
            unseen_classes=True,
            fold=0,
            train_samples=80,
            test_samples=100,
        )
    )
    assert (len(data.train), len(data.validation), len(data.tests["mixed-rand"])) == (80, 40, 100)
    assert data.train.labels.bincount().tolist() == [10] * 8
    assert data.train.schema.classes + data.validation.schema.classes == tuple(letters[:10])
    assert data.tests["original"].schema.classes == tuple(letters[10:])
    (batch,) = data.train.batches([torch.arange(8)])
    assert torch.equal(batch.labels, data.train.labels[:8])


def test_what_cannot_be_divided_is_refused(tmp_path):
    for classes, told in (
        (3, "composition has 3 classes, 1 to train on"),
        (9, "4 folds of 4 classes leave 1 to validate"),
    ):
        scenery = Scenery(scenes=flat_scenes(classes), classes=NAMES[:classes])
        with pytest.raises(ValueError, match=told):
            unseen_composition(blocks(90, classes), blocks(90, classes), scenery, fold=0)
    counts = {"group_counts": (4, 1, 1, 4), "photographs": tmp_path, "foregrounds": "demo"}
    with pytest.raises(ValueError, match=r"group_counts \(4, 1, 1, 4\) are of two classes: unseen classes need four"):
        load_dataset(DataOptions(data="composition", unseen_classes=True, **counts))
