import numpy as np
import pytest

from unconfound.data.sets.stl10 import stl10


def _stl10(folder, *, unlabelled):
    folder.mkdir()
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 3, 96, 96), dtype=np.uint8)
    images.transpose(0, 1, 3, 2)[:3].tofile(folder / "train_X.bin")
    images.transpose(0, 1, 3, 2)[3:4].tofile(folder / "test_X.bin")
    np.array([1, 10, 2], np.uint8).tofile(folder / "train_y.bin")
    np.array([5], np.uint8).tofile(folder / "test_y.bin")
    if unlabelled:
        images.transpose(0, 1, 3, 2)[4:].tofile(folder / "unlabeled_X.bin")
    return images


def test_stl10_trains_on_unlabelled_images_too(tmp_path):
    images = _stl10(tmp_path / "stl10_binary", unlabelled=True)
    data = stl10(tmp_path)
    assert np.array_equal(data.train.inputs, images[[0, 1, 2, 4, 5]])
    assert data.train.labels.tolist() == [0, 9, 1, -1, -1]
    assert data.labelled.labels.tolist() == [0, 9, 1]
    assert data.tests["test"].labels.tolist() == [4]
    assert np.array_equal(data.tests["test"].inputs, images[3:4])


def test_stl10_without_the_unlabelled_images(tmp_path):
    _stl10(tmp_path / "stl10_binary", unlabelled=False)
    data = stl10(tmp_path)
    assert len(data.train) == 3
    assert any("unlabeled_X.bin is not there" in note for note in data.train.notes)


def test_damaged_stl10_is_refused(tmp_path):
    folder = tmp_path / "stl10_binary"
    _stl10(folder, unlabelled=False)
    (folder / "train_y.bin").write_bytes(bytes([1, 2]))
    with pytest.raises(ValueError, match="3 train images but 2 labels"):
        stl10(tmp_path)
    (folder / "train_y.bin").write_bytes(bytes([1, 2, 0]))
    with pytest.raises(ValueError, match="labels must be 1 to 10"):
        stl10(tmp_path)
    (folder / "train_X.bin").write_bytes(bytes(1000))
    with pytest.raises(ValueError, match="1,000 bytes are no whole number of images"):
        stl10(tmp_path)


def test_what_is_missing_is_listed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"stl10 needs train_X\.bin"):
        stl10(tmp_path)
