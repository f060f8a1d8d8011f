from __future__ import annotations

import json
import string

import numpy as np
import pytest
import torch

from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets import uci as sets

ADULT_TRAIN = """\
39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Wife, White, Male, 2174, 0, 40, ?, <=50K
50, Private, 83311, HS-grad, 9, Divorced, ?, Husband, White, Male, 0, 0, 13, Cuba, >50K
20, Private, 80000, HS-grad, 9, Divorced, Adm-clerical, Wife, Black, Female, 0, 0, 40, Cuba, <=50K

"""
ADULT_TEST = """|1x3 Cross validator
80, Never-worked, 77516, HS-grad, 13, Divorced, Adm-clerical, Wife, Other, Female, 0, 0, 30, United-States, <=50K.
20, ?, 77516, HS-grad, 13, Divorced, Adm-clerical, Wife, White, Male, 0, 0, 40, United-States, >50K.

"""


@pytest.fixture
def adult(tmp_path):
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult" / "adult.data").write_text(ADULT_TRAIN)
    (tmp_path / "adult" / "adult.test").write_text(ADULT_TEST)
    return tmp_path


def letter_rows(count, *, seed=0):
    generator = np.random.default_rng(seed)
    letters = np.array(list(string.ascii_uppercase))[np.arange(count) % 26]
    return letters, generator.integers(0, 16, (count, 16))


def write_letter(root, count):
    (root / "letter").mkdir()
    letters, measures = letter_rows(count)
    lines = [f"{letter},{','.join(map(str, row))}\n" for letter, row in zip(letters, measures, strict=True)]
    (root / "letter" / "letter-recognition.data").write_text("".join(lines))


def inputs(source):
    return next(iter(source.batches([torch.arange(len(source))]))).inputs


def test_adult_keeps_its_split_and_is_encoded_by_its_training_rows(adult):
    for root in (adult, adult / "adult"):
        dataset = sets.adult(root)
        train, test = dataset.train, dataset.tests["test"]
        assert train.schema.classes == ("<=50K", ">50K")
        assert train.labels.tolist() == [0, 1, 0]
        assert test.labels.tolist() == [0, 1]
        assert dataset.labelled is train
        assert (train.name, test.name) == ("adult", "adult test")
        assert (train.names, test.names) == (["0", "1", "2"], ["3", "4"])
    names = dataset.restore["columns"]
    rows, tested = inputs(train), inputs(test)
    # Ages of 20 to 50 trained; the oldest tester is beyond them.
    assert rows[:, names.index("age")].tolist() == pytest.approx([19 / 30, 1, 0])
    assert tested[:, names.index("age")].tolist() == [2, 0]
    assert rows[:, names.index("occupation missing")].tolist() == [0, 1, 0]
    assert rows[:, names.index("native-country missing")].tolist() == [1, 0, 0]
    # What training lacked is all zeros: a category, and a missing cell of a column without any.
    work = [place for place, name in enumerate(names) if name.startswith("workclass")]
    assert rows[:, work].sum(1).tolist() == [1, 1, 1]
    assert tested[:, work].sum(1).tolist() == [0, 0]
    notes = "\n".join(train.notes)
    assert "subset: 3 of 32,561 rows of adult.data" in notes
    assert "unknown categories (Never-worked)" in notes
    # One value in training, whatever it is later.
    assert "column 'capital-loss' has one value in all training rows: it becomes 0" in notes


def test_a_group_is_no_feature(adult):
    dataset = sets.adult(adult, group="sex")
    assert dataset.train.schema.groups == tuple(
        f"income={income}, sex={sex}" for income in ("<=50K", ">50K") for sex in ("Female", "Male")
    )
    assert dataset.train.groups.tolist() == [1, 3, 0]
    assert dataset.tests["test"].groups.tolist() == [0, 3]
    assert not [name for name in dataset.restore["columns"] if name.startswith("sex")]
    with pytest.raises(ValueError, match="no group column 'sexe': did you mean sex"):
        sets.adult(adult, group="sexe")


def test_a_stored_encoding_keeps_split_and_features(adult):
    first = sets.adult(adult, group="sex")
    stored = json.loads(json.dumps(first.restore))
    # Other training rows would give another encoding.
    lines = ADULT_TRAIN.splitlines()
    (adult / "adult" / "adult.data").write_text("\n".join(lines[1:2]))
    again = load_dataset(DataOptions(data="adult", data_root=adult), restore=stored)
    assert inputs(again.train).equal(inputs(first.train)[1:2])
    assert inputs(again.tests["test"]).equal(inputs(first.tests["test"]))
    assert again.train.groups.tolist() == first.train.groups[1:2].tolist()
    assert again.restore == first.restore


def test_letter_trains_on_its_first_16000_rows(tmp_path):
    write_letter(tmp_path, 20_000)
    letters, measures = letter_rows(20_000)
    dataset = load_dataset(DataOptions(data="letter", data_root=tmp_path))
    assert (len(dataset.train), len(dataset.tests["test"])) == (16_000, 4_000)
    assert dataset.train.schema.classes == tuple(string.ascii_uppercase)
    for source, rows in ((dataset.train, slice(16_000)), (dataset.tests["test"], slice(16_000, None))):
        torch.testing.assert_close(inputs(source), torch.tensor(measures[rows] / 15).float())
        assert [dataset.train.schema.classes[label] for label in source.labels] == letters[rows].tolist()


def test_what_is_missing_is_listed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adult needs adult\.data, adult\.test in .*adult: nothing is downlo"):
        sets.adult(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"letter needs letter-recognition\.data in .*letter"):
        sets.letter(tmp_path)
    with pytest.raises(ValueError, match=r"letter is read from files: say which folder holds them \(--data-root\)"):
        sets.letter(None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<=50K", "<=60K"), r"adult\.data is damaged: row 0 has the label '<=60K', expected <=50K, \.\.\., >50K"),
        (("39", "old"), r"adult\.data is damaged: .*old"),
        ((", >50K", ""), r"adult\.data is damaged: row 1 has the label ''"),
        ((">50K", ">50K, 1"), r"adult\.data is damaged: .*Expected 15 fields in line 2, saw 16"),
        (("<=50K", "<=50K, 1"), r"adult\.data is damaged: Length of header or names does not match"),
        ((", Cuba, >50K", ""), r"adult\.data is damaged"),
        (("Cuba", "Cuba, Cuba"), r"adult\.data is damaged"),
    ],
)
def test_damaged_adult_is_refused(adult, change, message):
    (adult / "adult" / "adult.data").write_text(ADULT_TRAIN.replace(*change))
    with pytest.raises(ValueError, match=message) as caught:
        sets.adult(adult)
    assert "\n" not in str(caught.value)


def test_damaged_letter_is_refused(tmp_path):
    write_letter(tmp_path, 100)
    path = tmp_path / "letter" / "letter-recognition.data"
    with pytest.raises(ValueError, match="it holds 100 rows, the published file 20,000"):
        sets.letter(tmp_path)
    whole = path.read_text()
    path.write_text(whole.replace("A,", "a,"))
    with pytest.raises(ValueError, match=r"row 0 has the label 'a', expected A, \.\.\., Z"):
        sets.letter(tmp_path)
    path.write_text(whole[:-10])
    with pytest.raises(ValueError, match=r"letter-recognition\.data is damaged"):
        sets.letter(tmp_path)


def test_the_real_tables_have_the_published_counts(data_root):
    adult = sets.adult(data_root, group="sex")
    assert adult.train.labels.bincount().tolist() == [24_720, 7_841]
    assert adult.tests["test"].labels.bincount().tolist() == [12_435, 3_846]
    assert (adult.train.groups >= 0).all()
    assert not [note for note in adult.train.notes if "subset" in note]
    letter = sets.letter(data_root)
    assert (len(letter.train), len(letter.tests["test"])) == (16_000, 4_000)
    assert letter.train.schema.columns == (1,) * 16
    for dataset in (adult, letter):
        rows = inputs(dataset.train)
        assert (rows.amin(), rows.amax()) == (0, 1)
        assert inputs(dataset.tests["test"]).isfinite().all()
