from __future__ import annotations

import numpy as np
import pytest
import torch

from unconfound.data.arrays import image_arrays
from unconfound.data.sequences.series import is_series, series

RNG = np.random.default_rng(0)


def _save(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def _values(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return [row[:length] for row, length in zip(batch.inputs.values, batch.inputs.lengths.tolist(), strict=True)]


def _ragged(lengths=(3, 1, 4), channels=2, *, seed=0):
    return [
        each.astype(np.float32) for each in np.split(RNG.normal(size=(sum(lengths), channels)), np.cumsum(lengths)[:-1])
    ]


def _padded(ragged, fill):
    longest = max(map(len, ragged))
    return np.stack([np.pad(each, ((0, longest - len(each)), (0, 0)), constant_values=fill) for each in ragged])


def test_flat_and_padded_series_of_many_lengths_are_the_same(tmp_path):
    ragged = _ragged()
    lengths = np.array([len(each) for each in ragged], np.uint8)
    flat = series(_save(tmp_path, series=np.concatenate(ragged), lengths=lengths), test_share=0).train
    assert flat.schema.modality == "series"
    assert flat.schema.shape == (2,)
    # What lies behind a length may be anything.
    for fill in (0, np.nan, np.inf):
        padded = series(_save(tmp_path, series=_padded(ragged, fill), lengths=lengths), test_share=0).train
        for source in (flat, padded):
            assert [each.tolist() for each in _values(source)] == [each.tolist() for each in ragged]


@pytest.mark.parametrize(
    ("samples", "channels"),
    [
        (RNG.normal(size=(4, 6, 3)), 3),
        (RNG.normal(size=(4, 6)), 1),
        (RNG.integers(-5, 5, (4, 6, 3)), 3),
        (RNG.random((4, 6)) < 0.5, 1),
    ],
)
@pytest.mark.parametrize("name", ["series", "x", "npy"])
def test_series_of_one_length(tmp_path, samples, channels, name):
    path = _save(tmp_path, **{name: samples}) if name != "npy" else tmp_path / "a.npy"
    if name == "npy":
        np.save(path, samples)
    source = series(path, test_share=0).train
    (batch,) = source.batches([torch.arange(4)])
    assert batch.inputs.values.dtype == torch.float32
    expected = torch.from_numpy(samples.reshape(4, 6, channels)).float()
    assert batch.inputs.values.equal(expected)
    assert batch.inputs.lengths.tolist() == [6] * 4


def test_one_channel_in_one_row_with_lengths(tmp_path):
    source = series(_save(tmp_path, x=np.arange(5), lengths=np.array([2, 3])), test_share=0).train
    assert [each.flatten().tolist() for each in _values(source)] == [[0, 1], [2, 3, 4]]
    padded = series(_save(tmp_path, x=np.arange(6).reshape(2, 3), lengths=np.array([1, 3])), test_share=0).train
    assert [each.flatten().tolist() for each in _values(padded)] == [[0], [3, 4, 5]]


def test_long_series_are_cut_and_counted(tmp_path):
    ragged = _ragged((3, 1, 4))
    path = _save(tmp_path, series=np.concatenate(ragged), lengths=np.array([3, 1, 4]))
    data = series(path, test_share=0, max_length=2)
    assert [each.tolist() for each in _values(data.train)] == [each[:2].tolist() for each in ragged]
    assert "2 of 3 series are longer than 2 (--max-length): they are cut" in data.train.notes
    assert data.restore == {"kind": "series", "max_length": 2}
    assert not any("cut" in note for note in series(path, max_length=4).train.notes)


def test_labels_groups_and_test_series(tmp_path):
    path = _save(
        tmp_path,
        series=np.concatenate(_ragged((3, 1, 4))),
        lengths=np.array([3, 1, 4]),
        labels=np.array(["walk", "", "run"]),
        groups=np.array([7, 8, 7]),
        test_series=RNG.normal(size=(2, 5, 2)),
        test_labels=np.array(["run", "walk"]),
        test_groups=np.array([9, 7]),
    )
    data = series(path)
    assert data.train.schema.classes == ("run", "walk")
    assert data.train.schema.groups == ("7", "8", "9")
    assert data.train.labels.tolist() == [1, -1, 0]
    assert data.train.groups.tolist() == [0, 1, 0]
    assert len(data.labelled) == 2
    test = data.tests["test"]
    assert test.name == "a test"
    assert test.labels.tolist() == [0, 1]
    assert test.groups.tolist() == [2, 0]
    assert len(_values(test)[0]) == 5


def test_the_split_is_that_of_arrays(tmp_path):
    labels = np.repeat([0, 1], [10, 20])
    data = series(_save(tmp_path, series=RNG.normal(size=(30, 4, 2)), labels=labels), test_share=0.2, seed=5)
    images = image_arrays(_save(tmp_path, images=RNG.random((30, 4, 2)), labels=labels), test_share=0.2, seed=5)
    assert data.train.positions.equal(images.train.positions)
    assert data.tests["test"].labels.bincount().tolist() == [2, 4]
    assert any("were drawn for the test (seed 5)" in note for note in data.train.notes)


def test_what_is_taken_for_series(tmp_path):
    assert is_series(_save(tmp_path, series=np.zeros((2, 3, 4))))
    assert is_series(_save(tmp_path, x=np.zeros((5, 4)), lengths=np.array([2, 3])))
    assert not is_series(_save(tmp_path, x=np.zeros((2, 3, 4)), labels=np.zeros(2)))
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    assert not is_series(tmp_path / "a.npy")
    assert not is_series(tmp_path / "nothing.npz")
    (tmp_path / "b.npz").write_bytes(b"PK")
    assert not is_series(tmp_path / "b.npz")


def _spoilt(value, place):
    values = RNG.normal(size=(4, 5, 2))
    values[place] = value
    return values


FLAT = RNG.normal(size=(6, 2))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"series": _spoilt(np.nan, (2, 1, 0))},
            "a: sequence 2 holds NaN or infinity: .* say by lengths where it ends",
        ),
        ({"series": _spoilt(-np.inf, (3, 4, 1))}, "a: sequence 3 holds NaN or infinity"),
        ({"series": _spoilt(1e300, (1, 0, 0))}, "a: sequence 1 holds NaN or infinity"),
        (
            {"series": FLAT, "lengths": np.array([2, 0, 4])},
            "lengths: series 1 has the length 0: leave empty series out",
        ),
        ({"series": FLAT, "lengths": np.array([2, -1, 5])}, "series 1 has the length -1"),
        (
            {"series": FLAT, "lengths": np.array([2, 3])},
            r"2 lengths that sum up to 5 do not fit series of shape \(6, 2,",
        ),
        ({"series": FLAT[None], "lengths": np.array([7])}, "series 0 has the length 7, but only 6 times are there"),
        ({"series": FLAT, "lengths": np.array([2.0, 4.0])}, "lengths are float64 of shape .2,.: one integer a series"),
        ({"series": FLAT, "lengths": np.array(6)}, r"6 samples|lengths of shape \(\)"),
        ({"series": FLAT, "lengths": np.array([2, 4]), "labels": np.zeros(6)}, r"2 samples but labels of shape \(6,\)"),
        ({"series": np.arange(4)}, r"shape \(4,\): \[samples, time, channels\] is needed, or \[total, channels\]"),
        ({"series": np.zeros((2, 3, 4, 5))}, r"shape \(2, 3, 4, 5\)"),
        ({"series": np.zeros((2, 0, 4))}, r"holds no samples: the array has the shape \(2, 0, 4\)"),
        ({"series": np.array([["a", "b"]])}, "series are <U1: numbers are needed"),
        ({"series": FLAT[None] * 1j}, "series are complex128: numbers are needed"),
        ({"series": FLAT[None], "masks": np.ones(1)}, "masks are for images: say by lengths where series end"),
        (
            {"series": FLAT[None], "test_series": FLAT[None, :, :1]},
            "but test samples of shape .1,.",
        ),
        ({"series": FLAT[None], "test_lengths": np.array([1])}, "holds test_lengths, but no array test_images or"),
        ({"series": FLAT[None], "length": np.array([6])}, "'length': did you mean 'lengths'"),
        ({"series": np.array([[1], [1, 2]], dtype=object)}, "unequal lengths one below the other, with their lengths"),
    ],
)
def test_bad_series_are_refused_in_one_line(tmp_path, arrays, message):
    path = _save(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message) as raised:
        series(path)
    assert "\n" not in str(raised.value)


def test_bad_arguments_and_a_missing_file(tmp_path):
    path = _save(tmp_path, series=FLAT[None])
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        series(path, max_length=0)
    with pytest.raises(ValueError, match="test_share is 1"):
        series(path, test_share=1.0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        series(tmp_path / "b.npy")
