import numpy as np
import pytest

from unconfound.data.core.categories import encode


def test_strings_are_numbered_by_the_alphabet_and_integers_by_size():
    numbers, names = encode(np.array(["dog", "cat", "dog"]), what="labels")
    assert numbers.tolist() == [1, 0, 1]
    assert names == ("cat", "dog")
    numbers, names = encode(np.array([10, 2, 10, -3]), what="labels")
    assert numbers.tolist() == [2, 1, 2, 0]
    assert names == ("-3", "2", "10")


@pytest.mark.parametrize(
    "values",
    [np.array([[1], [0]]), np.array([1.0, 0.0]), np.array([True, False]), np.array([1, 0], np.uint8)],
)
def test_other_forms_of_integers(values):
    numbers, names = encode(values, what="labels")
    assert numbers.tolist() == [1, 0]
    assert names == ("0", "1")


@pytest.mark.parametrize("values", [np.array([4, -1, 7]), np.array(["a", "", "b"]), np.array([b"a", b"", b"b"])])
def test_unlabelled_samples_get_minus_one(values):
    numbers, names = encode(values, what="labels", unlabelled=True)
    assert numbers.tolist() == [0, -1, 1]
    assert len(names) == 2


def test_nothing_labelled():
    numbers, names = encode(np.array([-1, -1]), what="labels", unlabelled=True)
    assert numbers.tolist() == [-1, -1]
    assert names == ()


def test_known_names_keep_their_numbers_and_unknown_ones_are_refused():
    numbers, names = encode(np.array([7, 3]), what="labels", known=("3", "5", "7"))
    assert numbers.tolist() == [2, 0]
    assert names == ("3", "5", "7")
    with pytest.raises(ValueError, match="test labels hold 9, which the training samples lack: they have 3, 5"):
        encode(np.array([9, 3]), what="test labels", known=("3", "5"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 2), int), r"shape \(3, 2\)"),
        (np.array([0.5, 1.0]), "not all whole"),
        (np.array([np.nan, 1.0]), "not all whole"),
        (np.array([1j]), "complex128"),
    ],
)
def test_other_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        encode(values, what="labels")
