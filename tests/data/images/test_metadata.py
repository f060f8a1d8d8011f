import unicodedata

import pandas as pd
import pytest
import torch

from data.pictures import first_pixels, picture
from unconfound.data.images.metadata import Metadata, metadata_folder
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset

pytestmark = pytest.mark.usefixtures("own_cache")


# file, bird, place (missing in two), split
ROWS = [
    ("a/1.png", "land", "water", "train"),
    ("a/2.png", "land", "land", "train"),
    ("a/3.png", "land", "", "train"),
    ("b/4.png", "water", "water", "train"),
    ("b/5.png", "water", "water", "val"),
    ("b/6.png", "water", "land", "test"),
    ("a/7.png", "land", "", "test"),
]


@pytest.fixture
def folder(tmp_path):
    for number, (name, *_) in enumerate(ROWS):
        picture(tmp_path / "birds" / name, 20 * number)
    return tmp_path / "birds"


def _table(folder, rows=ROWS, *, header="file,bird,place,split", name="metadata.csv"):
    path = folder.parent / name
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def _read(folder, path, *, label=None, group=None, reading=None, **options):
    return metadata_folder(folder, Metadata(path, label, group), reading=reading or Reading(workers=0), **options)


def test_label_group_and_split_of_a_table(folder):
    data = _read(folder, _table(folder), label="bird", group="place")
    assert data.train.schema.groups == (
        "bird=land, place=land",
        "bird=land, place=water",
        "bird=water, place=land",
        "bird=water, place=water",
    )
    assert data.train.names == [name for name, *_ in ROWS[:4]]
    assert data.train.labels.tolist() == [0, 0, 0, 1]
    assert data.train.groups.tolist() == [1, 0, -1, 3]
    assert data.validation.groups.tolist() == [3]
    assert data.tests["test"].groups.tolist() == [2, -1]
    assert first_pixels(data.tests["test"]) == [100, 120]
    assert (
        "1 of 4 training samples have no group: they are trained on, but not counted in figures of groups"
        in data.train.notes
    )
    assert "no training sample is in the group bird=water, place=land" in data.train.notes


@pytest.mark.parametrize("numbers", [("0", "1", "2"), ("Train", "validation", "TEST")])
def test_splits_by_number_or_any_of_their_names(folder, numbers):
    names = dict(zip(("train", "val", "test"), numbers, strict=True))
    path = _table(folder, [(*row[:3], names[row[3]]) for row in ROWS])
    data = _read(folder, path, label="bird")
    assert (len(data.train), len(data.validation), len(data.tests["test"])) == (4, 1, 2)
    assert data.train.groups is None


def test_without_a_label_the_folders_are_the_classes_and_without_a_split_a_share_is_drawn(folder):
    path = _table(folder, [(row[0], row[2]) for row in ROWS], header="path,place")
    data = load_dataset(DataOptions(data=str(folder), metadata=path, group="place", test_share=0.4))
    assert data.train.schema.classes == ("a", "b")
    assert data.train.schema.groups[1] == "class=a, place=water"
    assert len(data.train) + len(data.tests["test"]) == 7
    assert data.tests["test"].labels.bincount().tolist() == [2, 1]
    assert any(note.startswith("no test part: 3 of 7 samples") for note in data.train.notes)
    again = load_dataset(DataOptions(data=str(folder), metadata=path, group="place", test_share=0.4))
    assert again.tests["test"].names == data.tests["test"].names


def test_parts_of_the_folder_count_where_the_table_names_none(tmp_path):
    root = tmp_path / "parted"
    names = [f"{part}/{label}/{number}.png" for part in ("train", "test") for label in "ab" for number in range(2)]
    for number, name in enumerate(names):
        picture(root / name, number)
    path = _table(root, [(name, "x" if "0" in name else "y") for name in names], header="file,side")
    data = _read(root, path, group="side")
    assert data.train.names == names[:4]
    assert data.tests["test"].groups.tolist() == [0, 1, 2, 3]


def test_masks_are_read_in_memory_and_streamed(folder):
    masks = folder.parent / "masks"
    for name, *_ in ROWS:
        picture(masks / name, 255)
    for memory in (4.0, 0.0):
        reading = Reading(memory_gib=memory, workers=0)
        data = _read(folder, _table(folder), label="bird", masks=masks, reading=reading)
        (batch,) = data.tests["test"].batches([torch.arange(2)])
        assert batch.masks.all()
        assert batch.inputs[:, 0, 0, 0].tolist() == [100, 120]


def test_files_that_only_one_side_knows(folder):
    data = _read(folder, _table(folder, ROWS[1:]), label="bird")
    assert "images not in metadata.csv, passed over: 1, the first is a/1.png" in data.train.notes
    path = _table(folder, [*ROWS, ("a/8.png", "land", "land", "test")])
    with pytest.raises(ValueError, match=r"1 of 8 images \(12\.50%\) cannot be read: a/8\.png \(No such file"):
        _read(folder, path, label="bird")
    data = _read(folder, path, label="bird", reading=Reading(bad_share=0.2, workers=0))
    assert len(data.tests["test"]) == 2


def test_files_none_of_which_is_there_are_named(folder):
    rows = [(name.removesuffix(".png"), *rest) for name, *rest in ROWS]
    with pytest.raises(
        FileNotFoundError, match=r"none of the 7 files that .*metadata\.csv lists is in .*birds: "
    ) as told:
        _read(folder, _table(folder, rows), label="bird")
    assert "a/1 is missing, it holds a/1.png; name files with their endings" in str(told.value)


def test_a_table_may_write_names_in_another_unicode_form(tmp_path):
    def names(*forms):
        accents = [unicodedata.normalize(form, "\u00e9") for form in forms]
        return [f"{accent}/{number}{accent}.png" for number, accent in enumerate(accents)]

    for number, name in enumerate(names("NFC", "NFD", "NFC")):
        picture(tmp_path / "birds" / name, 20 * number)
    rows = [(name, "x" if "0" in name else "y") for name in names("NFD", "NFC", "NFD")]
    data = _read(tmp_path / "birds", _table(tmp_path / "birds", rows, header="file,side"), test_share=0)
    assert first_pixels(data.train) == [0, 20, 40]
    assert data.train.schema.classes == ("\u00e9",)
    assert not any("passed over" in note for note in data.train.notes)


def test_a_part_without_any_group_gets_none(folder):
    data = _read(folder, _table(folder, [*ROWS[:5], ROWS[6]]), label="bird", group="place")
    assert data.tests["test"].groups is None
    assert "no sample of test has a group: it gets no figures of groups" in data.train.notes


@pytest.mark.parametrize(
    ("rows", "options", "match"),
    [
        (ROWS, {"label": "birds"}, "has no label column 'birds': did you mean bird"),
        (ROWS, {"label": "bird", "group": "plase"}, "has no group column 'plase': did you mean place"),
        (ROWS, {"label": "bird", "group": "bird"}, "label and group are both 'bird'"),
        ([*ROWS, ROWS[0]], {"label": "bird"}, r"metadata\.csv lists a/1\.png twice"),
        (
            [("../1.png", "land", "land", "test")],
            {"label": "bird"},
            r"names the file \.\./1\.png: paths must be relative",
        ),
        ([("", "land", "land", "test")], {"label": "bird"}, "the column 'file' must name a file in each row"),
        ([(*row[:3], "exam") for row in ROWS], {"label": "bird"}, "row 1 has the split 'exam': use train, val, test"),
        ([(*row[:3], "") for row in ROWS[:1]] + ROWS, {"label": "bird"}, "lists a/1.png twice|has the split ''"),
        ([(*row[:3], "test") for row in ROWS], {"label": "bird"}, "7 images, but none of them is for training"),
    ],
)
def test_mistakes_are_told_in_one_line(folder, rows, options, match):
    with pytest.raises(ValueError, match=match) as caught:
        _read(folder, _table(folder, rows), **options)
    assert "\n" not in str(caught.value)


def test_loose_images_need_a_label(tmp_path):
    picture(tmp_path / "loose" / "1.png", 0)
    path = _table(tmp_path / "loose", [("1.png", "x")], header="file,side")
    with pytest.raises(ValueError, match=r"has no class folders: name the column of the classes \(--label\)"):
        _read(tmp_path / "loose", path)
    with pytest.raises(FileNotFoundError, match="no table at"):
        _read(tmp_path / "loose", tmp_path / "no.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        _read(tmp_path / "nowhere", path, label="side")


def test_a_split_by_class_is_for_unseen_ones(tmp_path):
    rows = [
        (f"{number}.png", label, split)
        for number, (label, split) in enumerate(
            [("a", "train"), ("b", "train"), ("c", "val"), ("d", "val"), ("e", "test"), ("f", "test")]
        )
    ]
    for number, (name, *_) in enumerate(rows):
        picture(tmp_path / "birds" / name, 20 * number)
    table = _table(tmp_path / "birds", rows, header="file,bird,split")
    options = {"data": str(tmp_path / "birds"), "metadata": table, "label": "bird", "image_size": 8}
    with pytest.raises(ValueError, match="birds has no class of its part 'test' in training"):
        load_dataset(DataOptions(**options))
    data = load_dataset(DataOptions(unseen_classes=True, **options))
    for source, classes, pixels in (
        (data.train, ("a", "b"), [0, 20]),
        (data.validation, ("c", "d"), [40, 60]),
        (data.tests["test"], ("e", "f"), [80, 100]),
    ):
        assert source.schema.classes == classes
        assert source.labels.tolist() == [0, 1]
        assert first_pixels(source) == pixels
    folded = load_dataset(DataOptions(unseen_classes=True, folds=2, fold=0, **options))
    assert (folded.train.schema.classes, folded.validation.schema.classes) == (("a", "b"), ("c", "d"))


def test_class_folders_under_train_and_test_may_be_unseen_ones(tmp_path):
    names = ["train/a/0.png", "train/b/1.png", "test/c/2.png", "test/d/3.png"]
    for number, name in enumerate(names):
        picture(tmp_path / "birds" / name, 20 * number)
    table = _table(tmp_path / "birds", [(name,) for name in names], header="file")
    options = {"data": str(tmp_path / "birds"), "metadata": table, "image_size": 8}
    with pytest.raises(ValueError, match="test holds classes that train lacks: c, d; to be evaluated"):
        load_dataset(DataOptions(**options))
    data = load_dataset(DataOptions(unseen_classes=True, **options))
    assert (data.train.schema.classes, data.tests["test"].schema.classes) == (("a", "b"), ("c", "d"))


def test_the_index_of_a_frame_may_name_files(folder):
    frame = pd.DataFrame(
        [row[1:] for row in ROWS], index=[name for name, *_ in ROWS], columns=["bird", "place", "split"]
    )
    frame.to_csv(folder.parent / "index.csv")
    frame.to_parquet(folder.parent / "index.parquet")
    for name in ("index.csv", "index.parquet"):
        data = _read(folder, folder.parent / name, label="bird")
        assert data.train.names == [name for name, *_ in ROWS[:4]]
