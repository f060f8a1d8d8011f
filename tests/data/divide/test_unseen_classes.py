import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.pictures import first_pixels, picture
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.divide.fewer_samples import fewer_to_learn, fewer_to_test
from unconfound.data.divide.unseen_classes import pool_and_test, pool_blocks, with_unseen_classes
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.load import DataOptions, load_dataset


def _source(labels, *, start=0, classes=8, name="toy", **more):
    """Each sample's first pixel is its number."""
    inputs = (start + torch.arange(len(labels))).to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    schema = Schema("images", (1, 8, 8), tuple("abcdefgh"[:classes]))
    return MemorySource(name, schema, inputs, torch.tensor(labels), **more)


def _parts(data):
    parts = {"train": data.train, **data.tests}
    return parts if data.validation is None else {**parts, "validation": data.validation}


# Blocks of the folds 1 to 4 as the Reality Check has them: of CUB, Cars and Stanford Online Products.
@pytest.mark.parametrize(
    ("pool", "blocks"),
    [
        (100, [(75, 100), (50, 75), (25, 50), (0, 25)]),
        (98, [(74, 98), (50, 74), (26, 50), (0, 24)]),
        (11318, [(8489, 11318), (5660, 8489), (2831, 5660), (0, 2829)]),
    ],
)
def test_blocks_of_the_published_protocol(pool, blocks):
    for fold, (start, end) in enumerate(blocks):
        learnt, validated = pool_blocks(range(pool), folds=4, fold=fold)
        assert validated == list(range(start, end))
        assert learnt == [*range(start), *range(end, pool)]
    trained = {100: 75, 98: 74, 11318: 8489}[pool]
    assert {len(pool_blocks(range(pool), folds=4, fold=fold)[0]) for fold in range(4)} == {trained}


@given(classes=st.integers(4, 90), folds=st.integers(2, 9))
def test_blocks_are_disjoint_and_what_is_over_is_always_trained_on(classes, folds):
    if classes // folds < 2:
        with pytest.raises(
            ValueError, match=f"{folds} folds of {classes} classes leave {classes // folds} to validate"
        ):
            pool_blocks(range(classes), folds=folds, fold=0)
        return
    held = [set(pool_blocks(range(classes), folds=folds, fold=fold)[1]) for fold in range(folds)]
    assert all(not first & second for first, second in itertools.combinations(held, 2))
    left = sorted(set(range(classes)) - set.union(*held))
    assert left == list(range(classes // folds, classes // folds + classes % folds))


def test_halves_leave_the_class_in_the_middle_to_the_test_and_disjoint_parts_as_they_are():
    assert pool_and_test({0, 1, 2, 3, 4}, {0, 1}, name="x") == ([0, 1], [2, 3, 4])
    assert pool_and_test({0, 3, 5, 7}, set(), name="x") == ([0, 3], [5, 7])
    assert pool_and_test({4, 1, 7}, {3, 0}, name="x") == ([1, 4, 7], [0, 3])
    for trained, tested, told in (
        ({0, 1, 2}, {0, 1}, "x has 3 classes, 1 to train on and 2 to test on: unseen classes need two or more of each"),
        ({0, 1}, {2}, "x has 3 classes, 2 to train on and 1 to test on"),
    ):
        with pytest.raises(ValueError, match=told):
            pool_and_test(trained, tested, name="x")


@settings(deadline=None, max_examples=25)
@given(
    counts=st.lists(st.integers(1, 5), min_size=4, max_size=8),
    fold=st.none() | st.integers(0, 1),
    apart=st.booleans(),
    seed=st.integers(0, 99),
)
def test_each_sample_is_in_the_part_of_its_class(counts, fold, apart, seed):
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    tested = labels >= len(counts) // 2 if apart else torch.arange(len(labels)) % 3 == 0
    train, test = _source(labels[~tested].tolist()), _source(labels[tested].tolist(), start=100)
    assume(apart or {*train.labels.tolist()} & {*test.labels.tolist()})
    data = Dataset(train, {"test": test}, train)
    true = dict(zip([*range(len(train)), *range(100, 100 + len(test))], [*train.labels, *test.labels], strict=True))
    present = sorted({*train.labels.tolist()}) if apart else sorted({*labels.tolist()})
    pool, held_out = (
        (present, sorted({*test.labels.tolist()}))
        if apart
        else (present[: len(present) // 2], present[len(present) // 2 :])
    )
    if fold is not None and len(pool) < 4:
        with pytest.raises(
            ValueError, match=r"2 folds of .* classes leave . to validate on, and two or more are needed"
        ):
            with_unseen_classes(data, folds=2, fold=fold)
        return
    divided = with_unseen_classes(data, folds=2, fold=fold)
    learnt, validated = (pool, []) if fold is None else pool_blocks(pool, folds=2, fold=fold)
    assert divided.labelled is divided.train
    assert (divided.validation is None) == (fold is None)
    for name, kept in (("train", learnt), ("test", held_out), ("validation", validated)):
        if not kept:
            continue
        part = _parts(divided)[name]
        assert part.schema.classes == tuple("abcdefgh"[label] for label in kept)
        assert [kept[label] for label in part.labels] == [true[number] for number in first_pixels(part)]
        (batch,) = part.batches([torch.arange(len(part))])
        assert torch.equal(batch.labels, part.labels)
        assert sorted(first_pixels(part)) == sorted(number for number, label in true.items() if label in kept)


def test_test_sets_of_the_same_foregrounds_stay_apart_and_paired():
    train = _source([0, 1, 2, 3] * 3)
    tests = {
        name: _source([3, 2, 1, 0, 2], start=start, name=name) for name, start in (("original", 50), ("mixed-rand", 60))
    }
    data = with_unseen_classes(Dataset(train, tests, train, train_foreground=train))
    assert first_pixels(data.train) == [0, 1, 4, 5, 8, 9]
    assert first_pixels(data.tests["original"]) == [50, 51, 54]
    assert first_pixels(data.tests["mixed-rand"]) == [60, 61, 64]
    assert data.tests["original"].labels.tolist() == [1, 0, 0]
    assert first_pixels(data.train_foreground) == first_pixels(data.train)
    assert data.train_foreground.labels.tolist() == data.train.labels.tolist()


def test_a_test_part_of_other_groups_is_not_joined():
    train = _source([0, 1, 2, 3] * 2, groups=torch.zeros(8).long())
    data = with_unseen_classes(Dataset(train, {"test": _source([0, 1, 2, 3], start=50)}, train))
    assert first_pixels(data.train) == [0, 1, 4, 5]
    assert first_pixels(data.tests["test"]) == [52, 53]
    assert data.tests["test"].groups is None


def test_its_own_validation_part_is_kept_where_its_classes_are_its_own():
    train, test = _source([0, 1, 2, 3] * 2), _source([6, 7] * 2, start=50)
    own = Dataset(train, {"test": test}, train, validation=_source([4, 5, 5], start=90))
    kept = with_unseen_classes(own)
    assert kept.validation.schema.classes == ("e", "f")
    assert kept.validation.labels.tolist() == [0, 1, 1]
    assert len(kept.train) == 8
    folded = with_unseen_classes(own, folds=2, fold=0)
    assert folded.train.schema.classes == ("a", "b", "c")
    assert folded.validation.schema.classes == ("d", "e", "f")
    assert first_pixels(folded.validation) == [3, 7, 90, 91, 92]
    shared = with_unseen_classes(Dataset(train, {"test": test}, train, validation=_source([0, 1], start=90)))
    assert shared.validation is None
    assert first_pixels(shared.train) == [*range(8), 90, 91]


def test_data_without_a_test_part_and_unlabelled_samples():
    base = _source([0, 1, -1, 2, 3, -1])
    labelled = Subset(base, torch.tensor([0, 1, 3, 4]))
    data = with_unseen_classes(Dataset(base, {}, labelled, restore={"kind": "images"}))
    assert (first_pixels(data.train), first_pixels(data.tests["test"])) == ([0, 1], [3, 4])
    assert data.restore == {"kind": "images", "unseen_classes": True}
    assert data.train.notes == (
        "2 training samples without a label are left out",
        "unseen classes: train has 2, a to b; 2 samples",
        "2 of the 2 classes of train have one sample: it has no positive",
        "unseen classes: test has 2, c to d; 2 samples",
        "2 of the 2 classes of test have one sample: nothing is searched for by it",
    )
    for bare in (Dataset(base, {}), Dataset(base, {"test": MemorySource("bare", base.schema, base.inputs)}, labelled)):
        with pytest.raises(
            ValueError, match="toy has samples of no known class: unseen classes need labels in every part"
        ):
            with_unseen_classes(bare)


def test_more_folds_than_classes():
    train = _source([0, 1, 2] * 2)
    data = Dataset(train, {"test": _source([4, 5])}, train)
    with pytest.raises(ValueError, match=r"4 folds of 3 classes leave 0 to validate on, .*: leave --fold out"):
        with_unseen_classes(data, fold=0)
    train = _source([0, 1, 2, 3, 4] * 2)
    with pytest.raises(ValueError, match=r"4 folds of 5 classes leave 1 to validate on, .*: give --folds 2 or less"):
        with_unseen_classes(Dataset(train, {"test": _source([6, 7])}, train), fold=0)
    with pytest.raises(ValueError, match="fold must be 0 to 1, one of 2 folds, got 2"):
        with_unseen_classes(data, folds=2, fold=2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 1}, "folds must be at least 2, got 1"),
        ({"fold": 0}, "fold 0 divides the classes of --unseen-classes: say that, too, or leave --fold out"),
        ({"unseen_classes": True, "fold": 4}, "fold must be 0 to 3, one of 4 folds, got 4"),
        ({"unseen_classes": True, "fold": -1}, "fold must be at least 0, got -1"),
        (
            {"unseen_classes": True, "fold": 1, "validation_share": 0.2},
            "fold 1 validates on classes, validation_share 0.2 on samples: leave one of them out",
        ),
        (
            {"unseen_classes": True, "adversarial_backgrounds": 2},
            "adversarial_backgrounds evaluates .*--unseen-classes",
        ),
    ],
)
def test_options_that_do_not_go_together(options, told):
    with pytest.raises(ValueError, match=told) as caught:
        DataOptions(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("own_cache")
def test_a_folder_whose_test_classes_are_others(tmp_path):
    for part, classes in (("train", "abcdef"), ("test", "ghi")):
        for label in classes:
            for number in range(2):
                picture(tmp_path / part / label / f"{number}.png", 10 * "abcdefghi".index(label) + number)
    with pytest.raises(
        ValueError, match=r"test holds classes that train lacks: g, h, i; to be evaluated .*--unseen-classes"
    ):
        load_dataset(DataOptions(data=str(tmp_path)))
    data = load_dataset(DataOptions(data=str(tmp_path), unseen_classes=True, folds=3, fold=0))
    assert data.train.schema.classes == tuple("abcd")
    assert data.validation.schema.classes == tuple("ef")
    assert data.tests["test"].schema.classes == tuple("ghi")
    assert first_pixels(data.validation) == [40, 41, 50, 51]
    assert data.tests["test"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    # An encoder of such data reads others without dividing them.
    whole = load_dataset(DataOptions(data=str(tmp_path), test_share=0), restore=data.restore)
    assert len(whole.train.schema.classes) == 9
    assert (len(whole.train), len(whole.tests["test"])) == (12, 6)


@pytest.mark.usefixtures("own_cache")
def test_masks_swap_backgrounds_of_the_test_classes_only(tmp_path):
    half = np.zeros((8, 8), np.uint8)
    half[:4] = 255
    for place, label in enumerate("abcd"):
        (tmp_path / "masks" / label).mkdir(parents=True)
        for number in range(3):
            picture(tmp_path / "images" / label / f"{number}.png", 40 * place + number)
            Image.fromarray(half).save(tmp_path / "masks" / label / f"{number}.png")
    data = load_dataset(DataOptions(data=str(tmp_path / "images"), masks=tmp_path / "masks", unseen_classes=True))
    assert set(data.tests) == {"original", "mixed-same", "mixed-rand", "only-foreground", "only-background"}
    for source in data.tests.values():
        assert source.schema.classes == ("c", "d")
        assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.tests["mixed-rand"].inputs[:, 0, -1].min() >= 80
    assert len(data.train_foreground) == len(data.train) == 6
    assert not any("were drawn for the test" in note for note in data.train.notes)


def test_fewer_samples_keep_the_proportions_of_the_classes():
    whole = load_dataset(DataOptions(data="demo", unseen_classes=True))
    for limit in (6, 40):
        drawn = {"seed": 0, "by_class": True}
        data = fewer_to_test(fewer_to_learn(whole, limit, **drawn), limit, **drawn)
        for source, of in ((data.train, whole.train), *((data.tests[name], whole.tests[name]) for name in data.tests)):
            assert len(source) == limit
            expected = of.labels.bincount(minlength=5) * limit / len(of)
            assert (source.labels.bincount(minlength=5) - expected).abs().max() <= 1
            assert source.schema.classes == of.schema.classes
        assert torch.equal(data.tests["original"].positions, data.tests["mixed-rand"].positions)


def test_rows_and_a_validation_share_of_known_classes():
    chosen = {"train_samples": 300, "test_samples": 50, "validation_share": 0.2}
    data = load_dataset(DataOptions(data="demo", unseen_classes=True, rows=True, **chosen))
    assert (len(data.train) + len(data.validation), len(data.tests["original"])) == (300, 50)
    assert data.train.schema.modality == data.validation.schema.modality == "tables"
    assert data.validation.schema.classes == data.train.schema.classes == tuple("01234")
    assert data.tests["original"].schema.classes == tuple("56789")


@pytest.mark.usefixtures("own_cache")
def test_real_images_of_disjoint_classes(data_root, tmp_path):
    # Two images of each class, or decoding them all would take longer than all other tests here.
    root = data_root / "tiny-imagenet-ml"
    for folder in (*(root / "train").iterdir(), *(root / "test").iterdir()):
        for file in sorted(folder.iterdir())[:2]:
            link = tmp_path / "few" / file.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    data = load_dataset(DataOptions(data=str(tmp_path / "few"), unseen_classes=True, fold=0))
    sizes = {name: (len(part), len(part.schema.classes)) for name, part in _parts(data).items()}
    assert sizes == {"train": (90, 45), "validation": (30, 15), "test": (80, 40)}
    for part in _parts(data).values():
        assert all(part.schema.classes[label] in name for label, name in zip(part.labels, part.names, strict=True))


def test_real_rows_of_a_table(data_root):
    data = load_dataset(DataOptions(data="letter", data_root=data_root, unseen_classes=True, fold=3))
    assert data.validation.schema.classes == tuple("ABC")
    assert data.train.schema.classes == tuple("DEFGHIJKLM")
    assert sum(map(len, _parts(data).values())) == 20_000


def test_texts_and_graphs_are_divided_too(tmp_path):
    rows = [f"{label},{label} {word} {word}" for word in ("one", "two", "three") for label in "wxyz"]
    (tmp_path / "texts.csv").write_text("\n".join(["kind,said", *rows]) + "\n")
    data = load_dataset(DataOptions(data=str(tmp_path / "texts.csv"), text="said", label="kind", unseen_classes=True))
    assert (data.train.schema.classes, data.tests["test"].schema.classes) == (("w", "x"), ("y", "z"))
    assert [text[0] for text in data.tests["test"].texts] == ["y", "z"] * 3
    assert not any("were drawn for the test" in note for note in data.train.notes)
    graphs = GraphSource(
        "graphs",
        Schema("graphs", (1,), tuple("abcd")),
        nodes=torch.arange(8.0)[:, None],
        edges=torch.empty(2, 0, dtype=torch.long),
        sizes=torch.ones(8, dtype=torch.long),
        edge_counts=torch.zeros(8, dtype=torch.long),
        labels=torch.arange(8) % 4,
    )
    data = with_unseen_classes(Dataset(graphs, {}, graphs))
    (batch,) = data.tests["test"].batches([torch.tensor([3, 0])])
    assert batch.inputs.nodes.flatten().tolist() == [7, 2]
    assert batch.labels.tolist() == [1, 0]
