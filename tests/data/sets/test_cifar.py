import pickle

import numpy as np
import pytest
import torchvision

from unconfound.data.sets.cifar import cifar10, cifar100


def _cifar_file(path, count, classes, key="labels", start=0):
    generator = np.random.default_rng(start)
    content = {
        "data": generator.integers(0, 256, (count, 3072), dtype=np.uint8),
        key: [(start + number) % classes for number in range(count)],
        "filenames": [f"{path.name}/{number}" for number in range(count)],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return content


def test_cifar10_with_its_official_files(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    parts = [_cifar_file(folder / f"data_batch_{number}", 3, 10, start=number) for number in range(1, 6)]
    test = _cifar_file(folder / "test_batch", 4, 10)
    _cifar_file(folder / "train_10k", 7, 10)
    names = [f"class {number}" for number in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
    for root in (tmp_path, folder):
        data = cifar10(root)
        assert np.array_equal(
            data.train.inputs, np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        )
        assert data.train.labels.tolist() == [label for part in parts for label in part["labels"]]
        assert np.array_equal(data.tests["test"].inputs, test["data"].reshape(-1, 3, 32, 32))
        assert data.train.names[3] == "data_batch_2/0"
        assert data.train.schema.classes == tuple(names)
        assert data.labelled is data.train
        assert data.train.notes == ()
        assert data.restore == {"kind": "images", "image_size": 32, "channels": 3}


def test_cifar100(tmp_path):
    folder = tmp_path / "cifar-100-python"
    train = _cifar_file(folder / "train", 5, 100, key="fine_labels", start=97)
    _cifar_file(folder / "test", 2, 100, key="fine_labels")
    (folder / "meta").write_bytes(
        pickle.dumps({"fine_label_names": [str(number) for number in range(100)]}, protocol=2)
    )
    data = cifar100(tmp_path)
    assert data.train.labels.tolist() == train["fine_labels"] == [97, 98, 99, 0, 1]
    assert len(data.train.schema.classes) == 100
    assert len(data.tests["test"]) == 2


def test_a_subset_of_cifar10_is_read_and_said(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    for name in ("train_b", "train_a", "test_a"):
        _cifar_file(folder / name, 3, 10)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["x"] * 10}, protocol=2))
    data = cifar10(tmp_path)
    assert [name.split("/")[0] for name in data.train.names] == ["train_a"] * 3 + ["train_b"] * 3
    assert data.train.notes[0].startswith("subset: 6 of 50,000 training images (train_a, train_b) and 3 of 10,000")
    _cifar_file(folder / "data_batch_1", 3, 10)
    with pytest.raises(FileNotFoundError, match=r"needs data_batch_2, .*data_batch_5, test_batch in"):
        cifar10(tmp_path)


def test_what_is_missing_is_listed(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"cifar10 needs data_batch_1, .*, test_batch, batches\.meta in .*batches-py"
    ):
        cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"cifar10 needs the folder .*nowhere"):
        cifar10(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"say which folder holds them \(--data-root\)"):
        cifar10(None)


def test_real_cifar10_is_what_torchvision_reads(data_root):
    class Subset(torchvision.datasets.CIFAR10):
        train_list = [["train_10k", None], ["train_extra_10k", None]]  # noqa: RUF012
        test_list = [["test_2k", None], ["test_extra_2k", None]]  # noqa: RUF012

    data = cifar10(data_root)
    for train, source in ((True, data.train), (False, data.tests["test"])):
        expected = Subset(data_root, train=train)
        assert np.array_equal(source.inputs, expected.data.transpose(0, 3, 1, 2))
        assert source.labels.tolist() == expected.targets
        assert source.schema.classes == tuple(expected.classes)
    assert "20,000 of 50,000" in data.train.notes[0]
