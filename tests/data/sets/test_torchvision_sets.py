import gzip
import pickle
import shutil
import struct

import numpy as np
import pytest
import torch
import torchvision

from unconfound.data.sets.torchvision_sets import torchvision_set


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


def _idx(path, values, *, packed):
    content = b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def test_cifar10_with_its_official_files(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    parts = [_cifar_file(folder / f"data_batch_{number}", 3, 10, start=number) for number in range(1, 6)]
    test = _cifar_file(folder / "test_batch", 4, 10)
    _cifar_file(folder / "train_10k", 7, 10)
    names = [f"class {number}" for number in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
    for root in (tmp_path, folder):
        data = torchvision_set("cifar10", root)
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
    data = torchvision_set("cifar100", tmp_path)
    assert data.train.labels.tolist() == train["fine_labels"] == [97, 98, 99, 0, 1]
    assert len(data.train.schema.classes) == 100
    assert len(data.tests["test"]) == 2


def test_a_subset_of_cifar10_is_read_and_said(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    for name in ("train_b", "train_a", "test_a"):
        _cifar_file(folder / name, 3, 10)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["x"] * 10}, protocol=2))
    data = torchvision_set("cifar10", tmp_path)
    assert [name.split("/")[0] for name in data.train.names] == ["train_a"] * 3 + ["train_b"] * 3
    assert data.train.notes[0].startswith("subset: 6 of 50,000 training images (train_a, train_b) and 3 of 10,000")
    _cifar_file(folder / "data_batch_1", 3, 10)
    with pytest.raises(FileNotFoundError, match=r"needs data_batch_2, .*data_batch_5, test_batch in"):
        torchvision_set("cifar10", tmp_path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_packed_or_not(tmp_path, name, folder, packed):
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (5, 28, 28), dtype=np.uint8), np.arange(5, dtype=np.uint8)
    raw = tmp_path / folder / "raw"
    for part, count in (("train", 5), ("t10k", 2)):
        _idx(raw / f"{part}-images-idx3-ubyte", images[:count], packed=packed)
        _idx(raw / f"{part}-labels-idx1-ubyte", labels[:count], packed=packed)
    for root in (tmp_path, raw):
        data = torchvision_set(name, root)
        assert np.array_equal(data.train.inputs[:, 0], images)
        assert data.train.labels.tolist() == [0, 1, 2, 3, 4]
        assert len(data.tests["test"]) == 2
        assert data.train.schema.shape == (1, 28, 28)


def test_letters_stand_upright_and_count_from_0(tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    images = np.random.default_rng(0).integers(0, 256, (52, 28, 28), dtype=np.uint8)
    labels = np.tile(np.arange(1, 27, dtype=np.uint8), 2)
    _idx(raw / "emnist-letters-test-images-idx3-ubyte", images, packed=True)
    _idx(raw / "emnist-letters-test-labels-idx1-ubyte", labels, packed=False)
    data = torchvision_set("emnist-letters", tmp_path)
    assert data.train.notes == ("subset: the training letters are not there: 26 of 52 test letters are trained on",)
    for source in (data.train, data.tests["test"]):
        assert sorted(source.labels.tolist()) == list(range(26))
        assert np.array_equal(source.labels, labels[source.positions] - 1)
        assert "".join(source.schema.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    (batch,) = data.train.batches([torch.arange(26)])
    assert np.array_equal(batch.inputs[:, 0], images.transpose(0, 2, 1)[data.train.positions])
    _idx(raw / "emnist-letters-train-images-idx3-ubyte", images[:26], packed=False)
    with pytest.raises(FileNotFoundError, match=r"emnist-letters needs emnist-letters-train-labels-idx1-ubyte\.gz in"):
        torchvision_set("emnist-letters", raw)
    _idx(raw / "emnist-letters-train-labels-idx1-ubyte", labels[:26], packed=False)
    data = torchvision_set("emnist-letters", raw)
    assert (len(data.train), len(data.tests["test"])) == (26, 52)
    assert np.array_equal(data.train.inputs[:, 0], images[:26].transpose(0, 2, 1))
    _idx(raw / "emnist-letters-train-labels-idx1-ubyte", labels[:26] - 1, packed=False)
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte is damaged: labels must be 1 to 26"):
        torchvision_set("emnist-letters", raw)


@pytest.mark.parametrize("damage", ["truncated", "no gzip", "other type", "short"])
def test_damaged_idx_files_are_refused(tmp_path, damage):
    raw = tmp_path / "MNIST" / "raw"
    for part in ("train", "t10k"):
        _idx(raw / f"{part}-images-idx3-ubyte", np.zeros((3, 28, 28), np.uint8), packed=True)
        _idx(raw / f"{part}-labels-idx1-ubyte", np.zeros(3, np.uint8), packed=True)
    path = raw / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    plain = gzip.decompress(content)
    changed = {
        "truncated": content[:-10],
        "no gzip": plain,
        "other type": gzip.compress(b"\0\0\x0d" + plain[3:]),
        "short": gzip.compress(plain[:-5]),
    }
    path.write_bytes(changed[damage])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged") as caught:
        torchvision_set("mnist", tmp_path)
    assert "\n" not in str(caught.value)


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
    data = torchvision_set("stl10", tmp_path)
    assert np.array_equal(data.train.inputs, images[[0, 1, 2, 4, 5]])
    assert data.train.labels.tolist() == [0, 9, 1, -1, -1]
    assert data.labelled.labels.tolist() == [0, 9, 1]
    assert data.tests["test"].labels.tolist() == [4]
    assert np.array_equal(data.tests["test"].inputs, images[3:4])


def test_stl10_without_the_unlabelled_images(tmp_path):
    _stl10(tmp_path / "stl10_binary", unlabelled=False)
    data = torchvision_set("stl10", tmp_path)
    assert len(data.train) == 3
    assert any("unlabeled_X.bin is not there" in note for note in data.train.notes)


def test_damaged_stl10_is_refused(tmp_path):
    folder = tmp_path / "stl10_binary"
    _stl10(folder, unlabelled=False)
    (folder / "train_y.bin").write_bytes(bytes([1, 2]))
    with pytest.raises(ValueError, match="3 train images but 2 labels"):
        torchvision_set("stl10", tmp_path)
    (folder / "train_y.bin").write_bytes(bytes([1, 2, 0]))
    with pytest.raises(ValueError, match="labels must be 1 to 10"):
        torchvision_set("stl10", tmp_path)
    (folder / "train_X.bin").write_bytes(bytes(1000))
    with pytest.raises(ValueError, match="1,000 bytes are no whole number of images"):
        torchvision_set("stl10", tmp_path)


def test_what_is_missing_is_listed(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"cifar10 needs data_batch_1, .*, test_batch, batches\.meta in .*batches-py"
    ):
        torchvision_set("cifar10", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"mnist needs train-images-idx3-ubyte\.gz, .* in .*MNIST.raw"):
        torchvision_set("mnist", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"stl10 needs train_X\.bin"):
        torchvision_set("stl10", tmp_path)
    with pytest.raises(ValueError, match=r"say which folder holds them \(--data-root\)"):
        torchvision_set("cifar10", None)
    with pytest.raises(ValueError, match=r"'cifar-10' is no public image set: did you mean 'cifar10'\?"):
        torchvision_set("cifar-10", tmp_path)
    with pytest.raises(ValueError, match="use one of cifar10, cifar100, stl10, mnist, fashion-mnist"):
        torchvision_set("imagenet", tmp_path)


@pytest.mark.parametrize(
    ("name", "reader"),
    [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")],
    ids=["mnist", "fashion-mnist"],
)
def test_real_mnist_is_what_torchvision_reads(data_root, tmp_path, name, reader):
    data = torchvision_set(name, data_root)
    for packed in (data_root / reader / "raw").glob("t10k*.gz"):
        unpacked = tmp_path / reader / "raw" / packed.stem
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(packed) as source, open(unpacked, "wb") as target:
            shutil.copyfileobj(source, target)
    images = torchvision.datasets.mnist.read_image_file(str(tmp_path / reader / "raw/t10k-images-idx3-ubyte"))
    labels = torchvision.datasets.mnist.read_label_file(str(tmp_path / reader / "raw/t10k-labels-idx1-ubyte"))
    assert torch.equal(data.tests["test"].inputs[:, 0], images)
    assert torch.equal(data.tests["test"].labels, labels)
    assert data.train.labels.bincount().sum() == 60_000
    assert data.train.schema.classes[0] == getattr(torchvision.datasets, reader).classes[0].split(" - ")[0]


def test_real_cifar10_is_what_torchvision_reads(data_root):
    class Subset(torchvision.datasets.CIFAR10):
        train_list = [["train_10k", None], ["train_extra_10k", None]]  # noqa: RUF012
        test_list = [["test_2k", None], ["test_extra_2k", None]]  # noqa: RUF012

    data = torchvision_set("cifar10", data_root)
    for train, source in ((True, data.train), (False, data.tests["test"])):
        expected = Subset(data_root, train=train)
        assert np.array_equal(source.inputs, expected.data.transpose(0, 3, 1, 2))
        assert source.labels.tolist() == expected.targets
        assert source.schema.classes == tuple(expected.classes)
    assert "20,000 of 50,000" in data.train.notes[0]
