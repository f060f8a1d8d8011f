import gzip
import shutil
import struct

import numpy as np
import pytest
import torch
import torchvision

from unconfound.data.sets.mnist import emnist_letters, fashion_mnist, mnist

READERS = {"mnist": mnist, "fashion-mnist": fashion_mnist}


def _idx(path, values, *, packed):
    content = b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


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
        data = READERS[name](root)
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
    data = emnist_letters(tmp_path)
    assert data.train.notes == ("subset: the training letters are not there: 26 of 52 test letters are trained on",)
    for source in (data.train, data.tests["test"]):
        assert sorted(source.labels.tolist()) == list(range(26))
        assert np.array_equal(source.labels, labels[source.positions] - 1)
        assert "".join(source.schema.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    (batch,) = data.train.batches([torch.arange(26)])
    assert np.array_equal(batch.inputs[:, 0], images.transpose(0, 2, 1)[data.train.positions])
    _idx(raw / "emnist-letters-train-images-idx3-ubyte", images[:26], packed=False)
    with pytest.raises(FileNotFoundError, match=r"emnist-letters needs emnist-letters-train-labels-idx1-ubyte\.gz in"):
        emnist_letters(raw)
    _idx(raw / "emnist-letters-train-labels-idx1-ubyte", labels[:26], packed=False)
    data = emnist_letters(raw)
    assert (len(data.train), len(data.tests["test"])) == (26, 52)
    assert np.array_equal(data.train.inputs[:, 0], images[:26].transpose(0, 2, 1))
    _idx(raw / "emnist-letters-train-labels-idx1-ubyte", labels[:26] - 1, packed=False)
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte is damaged: labels must be 1 to 26"):
        emnist_letters(raw)


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
        mnist(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_listed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mnist needs train-images-idx3-ubyte\.gz, .* in .*MNIST.raw"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "reader"),
    [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")],
    ids=["mnist", "fashion-mnist"],
)
def test_real_mnist_is_what_torchvision_reads(data_root, tmp_path, name, reader):
    data = READERS[name](data_root)
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
