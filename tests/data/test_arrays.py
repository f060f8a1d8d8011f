import numpy as np
import pytest
import torch

from unconfound.data.arrays import image_arrays, is_rows, row_arrays


def _save(tmp_path, samples=None, **arrays):
    """An .npy of the samples alone, else an .npz."""
    if not arrays:
        np.save(tmp_path / "toy.npy", samples)
        return tmp_path / "toy.npy"
    np.savez(tmp_path / "toy.npz", **({} if samples is None else {"images": samples}), **arrays)
    return tmp_path / "toy.npz"


def _images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((10, 8, 9), None),
        ((10, 8, 9, 3), (0, 3, 1, 2)),
        ((10, 3, 8, 9), (0, 1, 2, 3)),
        ((10, 8, 9, 6), (0, 3, 1, 2)),
    ],
)
def test_channels_are_first_last_or_one(tmp_path, shape, order):
    images = _images(*shape)
    data = image_arrays(_save(tmp_path, images), test_share=0)
    expected = images[:, None] if order is None else images.transpose(order)
    assert data.train.schema.shape == expected.shape[1:]
    (batch,) = data.train.batches([torch.tensor([3, 0])])
    assert np.array_equal(batch.inputs, expected[[3, 0]])
    assert batch.inputs.dtype == torch.uint8
    assert data.train.notes
    assert data.labelled is None
    assert data.restore["channels"] == expected.shape[1]


def test_an_unclear_layout_is_refused_and_can_be_said(tmp_path):
    images = _images(10, 4, 8, 4)
    with pytest.raises(ValueError, match=r"save an \.npz with images and layout='channels-first' or 'channels-last'"):
        image_arrays(_save(tmp_path, images))
    first = image_arrays(_save(tmp_path, images, layout="channels-first"), test_share=0)
    last = image_arrays(_save(tmp_path, images, layout="channels-last"), test_share=0)
    assert first.train.schema.shape == (4, 8, 4)
    assert last.train.schema.shape == (4, 4, 8)
    with pytest.raises(ValueError, match="layout is 'wrong'"):
        image_arrays(_save(tmp_path, images, layout="wrong"))


@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2"])
def test_floats_become_float32(tmp_path, kind):
    images = (_images(6, 5, 5) / 255).astype(kind)
    data = image_arrays(_save(tmp_path, images), test_share=0)
    assert data.train.inputs.dtype == torch.float32
    assert np.array_equal(data.train.inputs[:, 0], images.astype(np.float32))


def test_labels_groups_masks_and_a_test(tmp_path):
    images, masks = _images(4, 6, 6, 3), np.zeros((4, 6, 6), np.uint8)
    masks[:, 2:4] = 255
    data = image_arrays(
        _save(
            tmp_path,
            images,
            labels=np.array(["b", "a", "", "b"]),
            groups=np.array([5, 5, 6, 7]),
            masks=masks,
            test_images=images[:2],
            test_labels=np.array(["a", "a"]),
            test_groups=np.array([9, 6]),
            test_masks=masks[:2, ..., None] > 0,
        )
    )
    test = data.tests["test"]
    assert data.train.labels.tolist() == [1, 0, -1, 1]
    assert data.labelled.labels.tolist() == [1, 0, 1]
    assert data.train.schema.classes == test.schema.classes == ("a", "b")
    assert data.train.schema.groups == test.schema.groups == ("5", "6", "7", "9")
    assert data.train.groups.tolist() == [0, 0, 1, 2]
    assert test.groups.tolist() == [3, 1]
    assert test.labels.tolist() == [0, 0]
    for source in (data.train, test):
        (batch,) = source.batches([torch.arange(2)])
        assert np.array_equal(batch.masks[:, 0], masks[:2] > 0)


def test_without_a_test_a_share_of_each_class_is_drawn(tmp_path):
    path = _save(tmp_path, _images(30, 5, 5), labels=np.repeat([4, 8], [20, 10]))
    data = image_arrays(path, test_share=0.3, seed=1)
    assert data.train.labels.bincount().tolist() == [14, 7]
    assert data.tests["test"].labels.bincount().tolist() == [6, 3]
    assert data.train.schema.classes == ("4", "8")
    assert any("9 of 30 samples, 30% of each class" in note for note in data.train.notes)
    again = image_arrays(path, test_share=0.3, seed=1)
    assert torch.equal(data.train.positions, again.train.positions)


def test_labels_that_are_all_missing_are_none(tmp_path):
    data = image_arrays(_save(tmp_path, _images(5, 4, 4), labels=np.full(5, -1)))
    assert data.train.labels is None
    assert data.labelled is None


@pytest.mark.parametrize(
    "values", [np.array([0, 1]), np.array([False, True]), np.array([0.2, 0.9]), np.array([0, 128])]
)
def test_masks_of_any_range(tmp_path, values):
    data = image_arrays(_save(tmp_path, _images(2, 4, 4), masks=values[[[[0] * 4] * 4, [[1] * 4] * 4]]), test_share=0)
    assert data.train.masks.flatten(1).all(1).tolist() == [False, True]
    assert data.train.masks.flatten(1).any(1).tolist() == [False, True]


def test_masks_with_the_shades_of_blur(tmp_path):
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[:, 2:6, 2:6] = 255
    masks[0, 2, 2:6] = (64, 128, 192, 128)
    data = image_arrays(_save(tmp_path, _images(2, 8, 8), masks=masks), test_share=0)
    assert torch.equal(data.train.masks[:, 0], torch.from_numpy(masks > 127))
    masks[1, 3:6, 3:6] = 3
    with pytest.raises(ValueError, match="masks hold the values 0, 3, 64, 128, 192, 255"):
        image_arrays(_save(tmp_path, _images(2, 8, 8), masks=masks), test_share=0)


def _with(images, position, value):
    images = images.astype(np.float32) / 255
    images[position] = value
    return images


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"images": _with(_images(4, 5, 5), (2, 0, 1), np.nan)},
            r"images hold 1 values .*position \(2, 0, 1\)",
        ),
        ({"images": _with(_images(4, 5, 5), (3, 0, 1), np.inf)}, r"NaN or infinite.*\(3, 0, 1\)"),
        ({"images": _with(_images(4, 5, 5), (3, 0, 1), 2.5)}, "from 0.* to 2.5: floats must lie in"),
        ({"images": _with(_images(4, 5, 5), (3, 0, 1), -0.5)}, "from -0.5 to 0.97"),
        ({"images": _images(4, 5, 5).astype(np.int64)}, "images are int64: save them as uint8"),
        ({"images": _images(4, 5)}, r"an array of shape \(4, 5\): images are \[samples, height, width\]"),
        (
            {"images": _images(4, 5, 5), "labels": np.array([0.5, 1, 2, 3])},
            "labels are float64 and not all whole",
        ),
        ({"images": _images(4, 5, 5), "labels": np.arange(3)}, r"4 samples but labels of shape \(3,\)"),
        (
            {"images": _images(4, 5, 5), "masks": np.ones((4, 5, 6))},
            "5 x 5 pixels, but their masks have the shape",
        ),
        ({"images": _images(4, 5, 5), "masks": np.zeros((4, 5, 5))}, "no mask has any foreground"),
        (
            {
                "images": _images(4, 5, 5),
                "masks": np.arange(100).reshape(4, 5, 5) % 2 * np.array([1, 255])[[0, 1, 0, 1]].reshape(4, 1, 1),
            },
            "masks hold the values 0, 1, 255, where black and white ones have 0 and 255: give them as booleans",
        ),
        ({"images": _images(4, 5, 5), "masks": np.full((4, 5, 5), 300)}, "masks lie between 300 and 300"),
        ({"images": _images(4, 5, 5), "masks": np.full((4, 5, 5), "a")}, "masks are <U1"),
        (
            {"images": _images(4, 5, 5), "test_images": _images(4, 6, 5)},
            r"samples of shape \(1, 5, 5\) but test samples of shape \(1, 6, 5\)",
        ),
        ({"images": _images(4, 5, 5), "test_images": _images(4, 5, 5, 3)}, "unlike those to train on"),
        (
            {"x": _images(4, 5, 5), "y": np.arange(4), "test_x": _images(1, 5, 5), "test_y": np.array([7])},
            "test labels hold 7, which the training samples lack",
        ),
    ],
)
def test_bad_images_are_refused(tmp_path, arrays, message):
    path = _save(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        image_arrays(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_share_out_of_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match="test_share is 2"):
        image_arrays(_save(tmp_path, _images(4, 5, 5)), test_share=2)


def test_rows(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    assert is_rows(_save(tmp_path, rows))
    assert not is_rows(_save(tmp_path, _images(4, 5, 5), labels=np.arange(4)))
    alone = row_arrays(_save(tmp_path, rows), test_share=0)
    assert alone.train.schema.modality == "tables"
    assert alone.train.schema.shape == (3,)
    assert alone.restore == {"kind": "rows", "features": 3}
    path = _save(
        tmp_path,
        rows=rows,
        y=np.arange(20) % 2,
        groups=np.arange(20) % 4,
        test_rows=rows[:5],
        test_y=np.ones(5, int),
    )
    data = row_arrays(path)
    assert np.array_equal(data.train.inputs, rows.astype(np.float32))
    assert data.train.labels.tolist() == [0, 1] * 10
    assert data.train.schema.groups == ("0", "1", "2", "3")
    assert data.tests["test"].labels.tolist() == [1] * 5
    assert data.tests["test"].groups is None
    split = row_arrays(_save(tmp_path, x=rows, y=np.arange(20) % 2), test_share=0.5)
    assert len(split.train) == len(split.tests["test"]) == 10


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.array([[1.0, 2.0], [np.nan, 1.0]])}, r"rows hold 1 values .*position \(1, 0\)"),
        ({"x": np.array([[1.0, 2.0], [1e300, 1.0]])}, r"rows hold 1 values that are NaN or infinite"),
        ({"x": np.zeros((2, 3, 4))}, r"shape \(2, 3, 4\): \[samples, features\] is needed"),
        ({"x": np.array([["a", "b"]])}, "rows are <U1: numbers are needed"),
        (
            {"x": np.zeros((4, 3)), "test_x": np.zeros((4, 2))},
            "but test samples of shape .2,.",
        ),
    ],
)
def test_bad_rows_are_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        row_arrays(_save(tmp_path, **arrays))
